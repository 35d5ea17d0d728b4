// A person at the demo's consent page, without a browser: reads the form as it stands there, and submits it.

// Returns what startBrowser takes: logs in as `person`, and leaves every scope checked that the page offers.
export function loggingInAs(person) {
  return async (opened) => {
    const page = await fetch(opened);
    const html = await page.text();
    const request = /name="request" value="([^"]+)"/.exec(html)?.[1];
    const offered = html.includes(`type="radio" name="person" value="${person}"`);
    if (!request || !offered) throw new Error(`no form for ${person}: ${page.status} ${html}`);
    const action = /<form method="post" action="([^"]+)"/.exec(html)[1];
    const checked = html.matchAll(/type="checkbox" name="scope" value="([^"]+)" checked/g);
    const scopes = [...checked].map(([, scope]) => ['scope', scope]);
    const fields = [['request', request], ['person', person], ...scopes, ['decision', 'allow']];
    const answer = await fetch(new URL(action, opened), {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: opened.origin },
      body: new URLSearchParams(fields),
    });
    const location = answer.headers.get('location');
    if (!location) throw new Error(`the consent page answered ${answer.status}: ${await answer.text()}`);
    return location;
  };
}
