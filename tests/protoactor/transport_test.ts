import { ProtoactorTransport } from "../../protoactor/transport/transport.ts";
import { CONTRACT_MAX_MESSAGE_BYTES, transportContract } from "../conformance/transport.ts";

transportContract("protoactor", async () => {
  const options = { cluster: "orders", maxMessageBytes: CONTRACT_MAX_MESSAGE_BYTES };
  const a = await ProtoactorTransport.listen({ ...options, id: "a" });
  const b = await ProtoactorTransport.listen({ ...options, id: "b" });
  return {
    a,
    b,
    addressOfB: a.addressOf(b.self),
    [Symbol.asyncDispose]: async () => void await Promise.all([a.close(), b.close()]),
  };
});
