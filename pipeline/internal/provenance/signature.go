package provenance

import (
	"bytes"
	"crypto"
	_ "crypto/sha512" // timestamps of GitHub are signed with it
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
)

// MediaType is that of a bundle that is attached to an image. Source: sigstore/protobuf-specs
// v0.5.0, sigstore_bundle.proto.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// payloadType is that of a statement in an envelope. Source: in-toto/attestation v1.1.0,
// spec/v1/envelope.md.
const payloadType = "application/vnd.in-toto+json"

// signed is a text with its signature, its signer, and the proof of its time.
type signed struct {
	payload     []byte
	signature   []byte
	certificate *x509.Certificate
	timestamps  [][]byte
}

// read reads a bundle, and believes nothing in it yet.
func read(text []byte) (*signed, error) {
	var bundle struct {
		MediaType string
		Material  struct {
			Certificate struct{ RawBytes []byte }
			Timestamps  struct {
				RFC3161 []struct{ SignedTimestamp []byte } `json:"rfc3161Timestamps"`
			} `json:"timestampVerificationData"`
		} `json:"verificationMaterial"`
		Envelope struct {
			Payload     []byte
			PayloadType string
			Signatures  []struct{ Sig []byte }
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(text, &bundle); err != nil {
		return nil, fmt.Errorf("is no bundle of Sigstore; attach one with actions/attest-build-provenance: %w", err)
	}
	if bundle.MediaType != MediaType || bundle.Envelope.PayloadType != payloadType || len(bundle.Envelope.Signatures) != 1 {
		return nil, fmt.Errorf("is a %q with %d signatures of a %q, and should be a %q with one of a %q; attach one with "+
			"actions/attest-build-provenance",
			bundle.MediaType, len(bundle.Envelope.Signatures), bundle.Envelope.PayloadType, MediaType, payloadType)
	}
	certificate, err := x509.ParseCertificate(bundle.Material.Certificate.RawBytes)
	if err != nil {
		return nil, fmt.Errorf("has no certificate of who signed it; attach one with actions/attest-build-provenance: %w", err)
	}
	s := &signed{payload: bundle.Envelope.Payload, signature: bundle.Envelope.Signatures[0].Sig, certificate: certificate}
	for _, stamp := range bundle.Material.Timestamps.RFC3161 {
		s.timestamps = append(s.timestamps, stamp.SignedTimestamp)
	}
	return s, nil
}

// verify returns no error if the text was signed with the certificate's key, while the certificate
// was valid, and an authority of the roots issued it. The certificate is valid for minutes; an
// authority's timestamp of the signature proves that it was valid then.
func (s *signed) verify(roots Roots) error {
	if err := s.certificate.CheckSignature(x509.ECDSAWithSHA256, envelope(s.payload), s.signature); err != nil {
		return fmt.Errorf("is not what was signed, or not with the key of its certificate; release the commit again: %w", err)
	}
	if len(s.timestamps) == 0 {
		return errors.New("has no timestamp of an authority: GitHub signs so for public repositories, with the public Sigstore, whose " +
			"log is not read here; make the repository private, or verify with gh attestation verify, and set the repository variable " +
			"ATTEST to false")
	}
	var refused []error
	for _, stamp := range s.timestamps {
		at, err := roots.stamped(stamp, s.signature)
		if err == nil {
			err = roots.issued(s.certificate, at)
		}
		if err == nil {
			return nil
		}
		refused = append(refused, err)
	}
	return errors.Join(refused...)
}

// envelope returns the bytes that are signed for a text. Source: secure-systems-lab/dsse v1.0.2,
// protocol.md, "Signature Definition".
func envelope(payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// issued returns no error if an authority issued a certificate that signs code, valid at a moment.
func (r Roots) issued(certificate *x509.Certificate, at time.Time) error {
	refused := []error{fmt.Errorf("is signed at %s with a certificate that no authority of the trusted roots issued for then; get the "+
		"roots again with gh attestation trusted-root, and see who signed it", at.UTC().Format(time.RFC3339))}
	for _, authority := range r.signers {
		_, err := certificate.Verify(authority.options(at, x509.ExtKeyUsageCodeSigning))
		if err == nil && authority.valid(at) {
			return nil
		}
		refused = append(refused, err)
	}
	return errors.Join(refused...)
}

// stamped returns the moment at which an authority has seen a signature. Source: RFC 3161, section
// 2.4.2.
func (r Roots) stamped(response, signature []byte) (time.Time, error) {
	fail := func(err error) (time.Time, error) {
		return time.Time{}, fmt.Errorf("has a timestamp that no authority of the trusted roots made of this signature; get the roots "+
			"again with gh attestation trusted-root, and see who signed it: %w", err)
	}
	stamp, err := timestamp.ParseResponse(response)
	if err != nil {
		return fail(err)
	}
	switch stamp.HashAlgorithm {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return fail(fmt.Errorf("it has a hash of the kind %s", stamp.HashAlgorithm))
	}
	hash := stamp.HashAlgorithm.New()
	hash.Write(signature)
	if !bytes.Equal(hash.Sum(nil), stamp.HashedMessage) {
		return fail(errors.New("it is of another signature"))
	}
	var refused []error
	for _, authority := range r.clocks {
		token, err := pkcs7.Parse(stamp.RawToken)
		if err != nil {
			return fail(err)
		}
		token.Certificates = authority.chain // not the token's own certificates
		err = token.VerifyWithOpts(authority.options(stamp.Time, x509.ExtKeyUsageTimeStamping))
		if err == nil && authority.valid(stamp.Time) {
			return stamp.Time, nil
		}
		refused = append(refused, err)
	}
	return fail(errors.Join(refused...))
}
