/**
 * Published keys: in the documents of this library and of other projects, and in standards. A cluster with a copied
 * example as its key would be open to all.
 *
 * @module
 */

import { toBase64Url } from "../common/bytes_text.ts";

/** In base64url without padding. */
const KNOWN_KEYS: ReadonlySet<string> = new Set([
  // docs/vectors/tokens.json: the key; a hash and the ends of two tokens, which have the form of a key.
  "zpzNQceyaKabXGsNqEb2FIjGO2AjL3LJJfc_TJfyt74",
  "M8bx3u2v6v3wfNXm7X9OKhFIecENP-HEXSj030__IZM",
  "wCx2AzoluLBdlRyJM81cQpX8u835PmbvDk3PZ_8pfSY",
  "Jq0uddWcok__wfktYBNMgRxojEzEdM3gL9ojS4_SGTs",
  // docs/vectors/signatures.json, with the first key pair of RFC 8032, section 7.1; and docs/PROTOCOL.md.
  "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
  "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
  "0KuHRUbjvosxoWJ3zmIRyBOMtLhDMMB7UlSy7VbVLIw",
  "A8mCcdMrYe-KmmVWcUGyJ3Wak1B9YkOEw7xXGwgHbOXoh7IZ-zT_XVkS36cljbnU6KhTMpsxXzCu7hzYf4bHBA",
  "i7fE3e_KjsroItZF5ud2J5o-RSzCaXTP59aDyHaZdRuEhsfa9nvL3sMKuEYHoA9Kd4lEB5Gip0tWIpqST3dWAg",
  "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc-bRr0lv18FlbviRlUUFDjnoQCw",
  // RFC 7515, appendix A.1, which every library for tokens has in its tests.
  "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
  // NIST SP 800-38A, the key of the examples of AES-256.
  "YD3rEBXKcb4rc67whX13gR81LAc7YQjXLZgQowkU3_Q",
  // Manuals of Consul, and guides to it.
  "pUqJrVyVRj5jsiYEkM_tFQYfWyJIv4s3XkvDwy7Cu5s",
  "ZWTL-bgjHyQPhJRKcFe3ccirc2SFHmc_Nw67l8NQfdk",
  "WbL6oaTPom-7RG7Q_INbJWKy09OLar_Hf2SuOAdoQE4",
  "YwgWlBvicJN17UOYcutXLpJSZsw5aWpLEEWqgK635zA",
  // Manuals of Nomad.
  "6RhfKFZ5uYEaU6RgWzx69ssLcpiIkvnEZs5KBOQxvxA",
  "HD5Y61iE-neTxd1n6TnXhCPViPIUq5QpWq8WW8012XA",
]);

/** True if a key is published. */
export function isKnownKey(bytes: Uint8Array): boolean {
  return KNOWN_KEYS.has(toBase64Url(bytes));
}
