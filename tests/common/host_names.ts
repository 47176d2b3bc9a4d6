/** Hosts that contain other parts of a URL. */
export const HOSTILE_HOSTS = [
  "x@127.0.0.1",
  "127.0.0.1:8080",
  "127.0.0.1/admin",
  "127.0.0.1:8080/admin?",
  "x@127.0.0.1:8080/admin?a=",
  "127.0.0.1#",
  "127.0.0.1\\admin",
  "127.0.0.1\t",
  "a\nb",
  "[::1]/",
  "[::1",
  "a b",
  "%",
  "",
];

/** Addresses of members that would redirect the dialer, or carry credentials. */
export const HOSTILE_URLS = [
  "http://10.0.0.5:1",
  "ws://user:secret@10.0.0.5:1",
  "ws://user@10.0.0.5:1",
  "ws://10.0.0.5:1/admin?delete=all",
  "ws://10.0.0.5:1/admin?",
  "ws://10.0.0.5:1/#x",
  "ws://10.0.0.5:1/a b",
  "ws://",
  "10.0.0.5:1",
  "",
];
