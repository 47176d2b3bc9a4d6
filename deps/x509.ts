/**
 * Certificates, for tests.
 *
 * @module
 */

import "npm:reflect-metadata@0.2.2";

export {
  BasicConstraintsExtension,
  type JsonGeneralName,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "npm:@peculiar/x509@1.14.3";
