// Post a change of the settings. The server answers with the settings and, if it refused the change, with an error.

export const NO_CONNECTION = "No connection to the run.";

// Returns the settings, the `error`, and whether to try `again`, because there is no connection or too much to do.
export async function post(path, change) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(change),
    });
  } catch {
    return { settings: null, error: NO_CONNECTION, again: true };
  }
  try {
    const { error, ...settings } = await response.json();
    return { settings, error, again: response.status === 503 };
  } catch {
    return { settings: null, error: `${response.status} ${response.statusText}`, again: false };
  }
}

// Show an error in an element, or hide it if there is none.
export function showError(element, error) {
  element.textContent = error ?? "";
  element.hidden = !error;
}
