// registry_test.c - the agents that there are: built in, from the environment, from a file, found.
#include "core/registry.h"
#include "runtime/log.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
clear_environment(void)
{
    unsetenv("BHIV_AI_URL");
    unsetenv("BHIV_AI_MODEL");
    unsetenv("BHIV_AI_KEY");
    unsetenv("BHIV_CORE_AGENTS");
    log_set_level(LOG_ERROR);
}

TestSuite(registry, .init = clear_environment);

// What comes of a file with this text.
static bus_err_t
read_text(const char *json, core_registry_t **ret_self)
{
    char path[] = "/tmp/core-agents-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, json, strlen(json)), (ssize_t) strlen(json));
    close(fd);
    setenv("BHIV_CORE_AGENTS", path, 1);
    bus_err_t err = core_registry_new(ret_self);
    unsetenv("BHIV_CORE_AGENTS");
    unlink(path);
    return err;
}

static const core_agent_t *
find(const core_registry_t *self, const char *id)
{
    return core_registry_find(self, view_from_text(id));
}

Test(registry, has_the_built_in_agents)
{
    core_registry_t *self = NULL;
    cr_assert_eq(core_registry_new(&self), BUS_OK);
    cr_assert_eq(core_registry_count(self), 2);
    cr_assert_eq(find(self, "text_agent")->kind, CORE_AGENT_TEXT);
    cr_assert_eq(find(self, "knowledge_agent")->kind, CORE_AGENT_KNOWLEDGE);
    cr_assert(find(self, "text_agent")->standby);
    cr_assert_null(find(self, "ai_agent"));
    cr_assert_null(find(self, "auto"));
    core_registry_destroy(&self);
}

Test(registry, has_ai_agent_where_its_server_is_named)
{
    core_registry_t *self = NULL;
    setenv("BHIV_AI_URL", "http://127.0.0.1:1/v1", 1);
    setenv("BHIV_AI_MODEL", "small", 1);
    setenv("BHIV_AI_KEY", "secret", 1);
    cr_assert_eq(core_registry_new(&self), BUS_OK);
    const core_agent_t *agent = find(self, "ai_agent");
    cr_assert_eq(agent->kind, CORE_AGENT_HTTP);
    cr_assert_str_eq(agent->url, "http://127.0.0.1:1/v1");
    cr_assert_str_eq(agent->model, "small");
    cr_assert_str_eq(agent->key, "secret");
    core_registry_destroy(&self);
    setenv("BHIV_AI_URL", "ftp://127.0.0.1/", 1);
    cr_assert_eq(core_registry_new(&self), BUS_VALIDATION_FAILED);
}

Test(registry, reads_a_file_of_agents)
{
    core_registry_t *self = NULL;
    setenv("TEST_KEY", "k", 1);
    bus_err_t err = read_text(
        "{\"agents\":["
        "{\"id\":\"translator\",\"tags\":[\"translation\"],\"timeout_ms\":500},"
        "{\"id\":\"painter\",\"input_types\":[\"image\",\"text\"],\"standby\":true},"
        "{\"id\":\"gpt\",\"kind\":\"http\",\"url\":\"https://ai.example/v1\",\"model\":\"m\","
        "\"key_env\":\"TEST_KEY\",\"system\":\"Be brief.\"},"
        "{\"id\":\"text_agent\",\"enabled\":false}]}",
        &self);
    cr_assert_eq(err, BUS_OK);
    cr_assert_eq(core_registry_count(self), 5);
    cr_assert_eq(find(self, "translator")->kind, CORE_AGENT_BUS);
    cr_assert_eq(find(self, "translator")->timeout_ms, 500);
    cr_assert_eq(find(self, "painter")->inputs, 1u << CORE_INPUT_IMAGE | 1u << CORE_INPUT_TEXT);
    cr_assert(find(self, "painter")->standby);
    cr_assert_str_eq(find(self, "gpt")->key, "k");
    cr_assert_str_eq(find(self, "gpt")->system, "Be brief.");
    cr_assert_not(find(self, "text_agent")->enabled);
    BUS_AUTO(pack_destroy) pack_t *tags = pack_new();
    pack_array(tags, 2);
    pack_text(tags, "other");
    pack_text(tags, "translation");
    cr_assert(core_registry_shares_tag(find(self, "translator"), pack_view(tags)));
    cr_assert_not(core_registry_shares_tag(find(self, "painter"), pack_view(tags)));
    cr_assert_not(core_registry_shares_tag(find(self, "translator"), VIEW_NONE));
    core_registry_destroy(&self);
}

Test(registry, refuses_a_file_that_cannot_be_right)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"agent\":[]}",
        "{\"agents\":{}}",
        "{\"agents\":[1]}",
        "{\"agents\":[{}]}",
        "{\"agents\":[{\"id\":\"\"}]}",
        "{\"agents\":[{\"id\":\"auto\"}]}",
        "{\"agents\":[{\"id\":\"a.b\"}]}",
        "{\"agents\":[{\"id\":\"a b\"}]}",
        "{\"agents\":[{\"id\":\"$bus\"}]}",
        "{\"agents\":[{\"id\":\"a\"},{\"id\":\"a\"}]}",
        "{\"agents\":[{\"id\":\"a\",\"enabeld\":true}]}",
        "{\"agents\":[{\"id\":\"a\",\"enabled\":\"yes\"}]}",
        "{\"agents\":[{\"id\":\"a\",\"kind\":\"magic\"}]}",
        "{\"agents\":[{\"id\":\"a\",\"kind\":\"builtin\"}]}",
        "{\"agents\":[{\"id\":\"text_agent\",\"kind\":\"bus\"}]}",
        "{\"agents\":[{\"id\":\"text_agent\",\"input_types\":[\"pdf\"]}]}",
        "{\"agents\":[{\"id\":\"a\",\"input_types\":[]}]}",
        "{\"agents\":[{\"id\":\"a\",\"input_types\":[\"video\"]}]}",
        "{\"agents\":[{\"id\":\"a\",\"tags\":[1]}]}",
        "{\"agents\":[{\"id\":\"a\",\"timeout_ms\":0}]}",
        "{\"agents\":[{\"id\":\"a\",\"url\":\"http://x/v1\"}]}",
        "{\"agents\":[{\"id\":\"a\",\"kind\":\"http\"}]}",
        "{\"agents\":[{\"id\":\"a\",\"kind\":\"http\",\"url\":\"file:///etc\",\"model\":\"m\"}]}",
        ("{\"agents\":[{\"id\":\"a\",\"kind\":\"http\",\"url\":\"http://x/v1\",\"model\":\"m\","
         "\"key_env\":\"NO_SUCH_VARIABLE\"}]}"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        core_registry_t *self = NULL;
        cr_assert_eq(read_text(texts[i], &self), BUS_VALIDATION_FAILED, "%s", texts[i]);
        cr_assert_null(self);
    }
    core_registry_t *self = NULL;
    setenv("BHIV_CORE_AGENTS", "/nonexistent/agents.json", 1);
    cr_assert_eq(core_registry_new(&self), BUS_VALIDATION_FAILED);
}

static void
take(core_registry_t *self, const char *const *services, size_t count)
{
    core_registry_peers_begin(self);
    for (size_t i = 0; i < count; i++) {
        core_registry_peers_add(self, view_from_text(services[i]));
    }
    core_registry_peers_end(self);
}

Test(registry, finds_agents_among_the_peers_and_lets_them_go)
{
    static const char *const two[] = {"bucket", "agent.one", "agent.two", "agent.one"};
    static const char *const one[] = {"agent.two"};
    core_registry_t *self = NULL;
    cr_assert_eq(core_registry_new(&self), BUS_OK);
    take(self, two, 4);
    cr_assert_eq(find(self, "one")->instances, 2);
    cr_assert(find(self, "two")->discovered);
    cr_assert_eq(core_registry_count(self), 4);
    take(self, one, 1);
    cr_assert_null(find(self, "one"));
    cr_assert_eq(find(self, "two")->instances, 1);
    core_registry_destroy(&self);
}

Test(registry, keeps_a_configured_agent_that_went)
{
    static const char *const one[] = {"agent.one"};
    core_registry_t *self = NULL;
    cr_assert_eq(read_text("{\"agents\":[{\"id\":\"one\"}]}", &self), BUS_OK);
    cr_assert_eq(find(self, "one")->instances, 0);
    take(self, one, 1);
    cr_assert_eq(find(self, "one")->instances, 1);
    cr_assert_not(find(self, "one")->discovered);
    take(self, NULL, 0);
    cr_assert_eq(find(self, "one")->instances, 0);
    core_registry_destroy(&self);
}

Test(registry, takes_no_peer_for_an_agent_that_is_none)
{
    static const char *const services[] = {
        "agent.", "agent.a.b", "agents.x", "agent.text_agent", "agent", "agent.auto", "agent._x"};
    core_registry_t *self = NULL;
    cr_assert_eq(core_registry_new(&self), BUS_OK);
    take(self, services, 7);
    cr_assert_eq(core_registry_count(self), 2);
    cr_assert_eq(find(self, "text_agent")->kind, CORE_AGENT_TEXT);
    core_registry_destroy(&self);
}

Test(registry, holds_as_many_agents_as_it_may)
{
    core_registry_t *self = NULL;
    cr_assert_eq(core_registry_new(&self), BUS_OK);
    core_registry_peers_begin(self);
    for (unsigned i = 0; i < 2 * CORE_REGISTRY_MAX; i++) {
        char service[32];
        snprintf(service, sizeof service, "agent.a%u", i);
        core_registry_peers_add(self, view_from_text(service));
    }
    core_registry_peers_end(self);
    cr_assert_eq(core_registry_count(self), CORE_REGISTRY_MAX);
    core_registry_destroy(&self);
}
