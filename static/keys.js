// Passkeys and security keys: the browser asks for one, and the form carries what it says.
// `data-key`: the id of the options on the page, or the address that has them.
"use strict";

(() => {
  const { create, get } = window.webauthnJSON;
  const OWN_WORDS = {
    NotAllowedError: "No key answered, or it was cancelled. Try again.",
    InvalidStateError: "This key is set up already.",
    SecurityError: "Keys work at this server's own name and over HTTPS only.",
  };

  async function optionsOf(form) {
    const source = form.dataset.key;
    const script = document.getElementById(source);
    if (script) return JSON.parse(script.textContent);
    const answer = await fetch(source, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error("The server did not answer. Try again in a minute.");
    return (await answer.json()).request_options;
  }

  async function ask(form) {
    const options = await optionsOf(form);
    if (!form.hasAttribute("data-new-key")) return get(options);
    const alone = form.elements.passwordless.checked;
    Object.assign(options.publicKey.authenticatorSelection, {
      residentKey: alone ? "required" : "discouraged",
      requireResidentKey: alone,
      ...(alone ? { userVerification: "required" } : {}),
    });
    return create(options);
  }

  for (const form of document.querySelectorAll("form[data-key]")) {
    form.hidden = !window.PublicKeyCredential;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const complaint = form.querySelector("[role=alert]");
      complaint.hidden = true;
      try {
        form.elements.credential.value = JSON.stringify(await ask(form));
        form.submit();
      } catch (error) {
        complaint.textContent = OWN_WORDS[error.name] || error.message;
        complaint.hidden = false;
      }
    });
  }
})();
