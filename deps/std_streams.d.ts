/** Chunks of text in, lines without their ends out. */
export class TextLineStream extends TransformStream<string, string> {
  constructor(options?: { readonly allowCR?: boolean });
}
