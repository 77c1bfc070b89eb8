'use strict';
// The console's view of one trace: what GET /trace/{trace_id} answers, a line a step. Uses ask() of console.js.

function line(step) {
  const indent = '   '.repeat(step.depth);
  const parts = [('+' + step.offset_ms.toFixed(3) + ' ms').padStart(14) + '  ' + indent + step.what];
  if (step.http_status) { parts.push(step.http_status); }
  if (step.status) { parts.push(step.status); }
  if (step.duration_ms !== undefined) { parts.push('(' + step.duration_ms + ' ms)'); }
  if (step.seq) { parts.push('#' + step.seq); }
  parts.push(step.source);
  for (const place of step.audit || []) {
    parts.push('[' + place.audit_id + ' leaf ' + place.leaf_index + ' ' + (place.decision || '') + ']');
  }
  return parts.join(' ');
}

// What is to be known about what is missing, a line each.
function gaps(tree) {
  const lines = tree.sources.filter((one) => one.state !== 'answered')
    .map((one) => one.source + ' is ' + one.state + ': what it knows is missing here');
  if (tree.truncated) { lines.push('there are more steps than are shown'); }
  if (tree.trimmed) { lines.push('a part of this trace was trimmed'); }
  return lines;
}

// Shows the trace that the address names.
async function follow() {
  if (!location.hash.startsWith('#trace=')) { return; }
  const id = decodeURIComponent(location.hash.slice('#trace='.length));
  const story = document.getElementById('story');
  const json = document.getElementById('json');
  document.getElementById('trace').value = id;
  json.href = '/trace/' + encodeURIComponent(id);
  json.hidden = story.hidden = false;
  try {
    const tree = await ask(json.href);
    story.textContent = tree.steps.map(line).concat(gaps(tree)).join('\n');
  } catch (error) {
    story.textContent = error.message;
  }
}

window.addEventListener('hashchange', follow);
document.getElementById('follow').addEventListener('submit', (event) => {
  event.preventDefault();
  const hash = '#trace=' + encodeURIComponent(document.getElementById('trace').value);
  if (location.hash === hash) { follow(); } else { location.hash = hash; }
});
follow();
