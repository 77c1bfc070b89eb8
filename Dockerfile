# One image for every part. Built in two stages: the second has the program and its libraries only.
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts/setup scripts/setup
RUN scripts/setup --build && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release -DBUS_TESTS=OFF && cmake --build --preset release --target bhiv \
    && strip build/release/bhiv

FROM debian:bookworm-slim
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
       libzmq5 libczmq4 libmsgpackc2 liblmdb0 libmicrohttpd12 libjansson4 libsodium23 libssl3 libxxhash0 libmpfr6 libcurl4 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && useradd --uid 10001 --no-create-home --home-dir /var/lib/bhiv --shell /usr/sbin/nologin bhiv \
    && mkdir -p /var/lib/bhiv/broker /var/lib/bhiv/bucket /var/lib/bhiv/karma /var/lib/bhiv/workflow \
       /var/lib/bhiv/core /var/lib/bhiv/htm /var/lib/bhiv/brain /var/lib/bhiv/certs /var/lib/bhiv/logs /keys \
    && for kernel in infrastructure governance memory librarian verification self_healing code; do \
           mkdir -p /var/lib/bhiv/kernel-$kernel /parts/kernel-$kernel; done \
    && for part in broker bhiv_bucket bhiv_karma bhiv_core workflow_executor htm brain bhiv_bridge; do mkdir /parts/$part; done \
    && chown -R bhiv:bhiv /var/lib/bhiv /keys /parts && chmod -R 0700 /var/lib/bhiv /keys /parts
COPY --from=build /src/build/release/bhiv /usr/local/bin/bhiv
USER bhiv
ENV BHIV_DIR=/var/lib/bhiv
WORKDIR /var/lib/bhiv
ENTRYPOINT ["/usr/local/bin/bhiv"]
CMD ["--help"]
