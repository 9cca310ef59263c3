// The connection to the run: the server sends the status by itself, and an image per request.

const LOST_AFTER_MS = 5000; // the status arrives twice a second
const RETRY_MS = { first: 500, most: 5000 };

export class Connection {
  #socket = null;
  #requested = false;
  #lastMessageMs = 0;
  #retryMs = RETRY_MS.first;
  #handlers;

  // Calls `onStatus` with a status, `onImage` with the bytes of an image's message, `onOpen` and `onLost`; an image is
  // requested while `wantsImage` returns true.
  constructor(handlers) {
    this.#handlers = handlers;
    setInterval(() => {
      if (this.#socket !== null && Date.now() - this.#lastMessageMs > LOST_AFTER_MS) this.#reconnectLater();
    }, 1000);
    document.addEventListener("visibilitychange", () => this.requestImage());
    this.#connect();
  }

  // Request an image, unless one is on its way.
  requestImage() {
    if (this.#requested || document.hidden || this.#socket?.readyState !== WebSocket.OPEN) return;
    if (!this.#handlers.wantsImage()) return;
    this.#requested = true;
    this.#socket.send("next");
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const opened = new WebSocket(`${scheme}//${location.host}/watch`);
    opened.binaryType = "arraybuffer";
    this.#socket = opened;
    this.#lastMessageMs = Date.now();
    this.#requested = false;
    opened.onopen = () => {
      this.#retryMs = RETRY_MS.first;
      this.#handlers.onOpen();
      this.requestImage();
    };
    opened.onmessage = async ({ data }) => {
      if (opened !== this.#socket) return;
      this.#lastMessageMs = Date.now();
      if (typeof data === "string") {
        this.#handlers.onStatus(JSON.parse(data));
        return;
      }
      await this.#handlers.onImage(data);
      if (opened !== this.#socket) return;
      this.#requested = false;
      this.requestImage();
    };
    opened.onclose = () => {
      if (opened === this.#socket) this.#reconnectLater();
    };
  }

  #reconnectLater() {
    const old = this.#socket;
    this.#socket = null;
    old.close();
    this.#handlers.onLost();
    setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS.most);
  }
}
