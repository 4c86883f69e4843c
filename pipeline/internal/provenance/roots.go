package provenance

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Roots are the trusted authorities: those that issue certificates to workflows, and those that
// stamp the time.
type Roots struct{ signers, clocks []authority }

// authority is a chain of certificates, from the signing to the trusted one, with the time of its
// use.
type authority struct {
	chain []*x509.Certificate
	since time.Time
	until *time.Time
}

// ReadRoots reads what gh attestation trusted-root prints: a trusted root of Sigstore as JSON, or
// several. gh asks GitHub for it, and verifies it by the keys that come with gh (The Update
// Framework). Source of the form: sigstore/protobuf-specs v0.5.0, sigstore_trustroot.proto.
func ReadRoots(text []byte) (Roots, error) {
	type listed struct {
		CertChain struct {
			Certificates []struct{ RawBytes []byte }
		}
		ValidFor struct {
			Start time.Time
			End   *time.Time
		}
	}
	var roots Roots
	add := func(to *[]authority, list []listed) error {
		for _, l := range list {
			a := authority{since: l.ValidFor.Start, until: l.ValidFor.End}
			for _, c := range l.CertChain.Certificates {
				certificate, err := x509.ParseCertificate(c.RawBytes)
				if err != nil {
					return err
				}
				a.chain = append(a.chain, certificate)
			}
			if len(a.chain) > 0 {
				*to = append(*to, a)
			}
		}
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		var root struct {
			CertificateAuthorities, TimestampAuthorities []listed
		}
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			break
		}
		err = errors.Join(err, add(&roots.signers, root.CertificateAuthorities), add(&roots.clocks, root.TimestampAuthorities))
		if err != nil {
			return Roots{}, fmt.Errorf("the trusted roots cannot be read; write them with gh attestation trusted-root: %w", err)
		}
	}
	if len(roots.signers) == 0 || len(roots.clocks) == 0 {
		return Roots{}, fmt.Errorf("the trusted roots name %d authorities of certificates and %d of timestamps, and both are needed; "+
			"write them with gh attestation trusted-root", len(roots.signers), len(roots.clocks))
	}
	return roots, nil
}

// options are those by which a certificate that an authority has issued is verified. Roots is never
// nil: nil would mean the machine's own roots.
func (a authority) options(at time.Time, usage x509.ExtKeyUsage) x509.VerifyOptions {
	trusted, between := x509.NewCertPool(), x509.NewCertPool()
	last := len(a.chain) - 1
	trusted.AddCert(a.chain[last])
	for _, certificate := range a.chain[:last] {
		between.AddCert(certificate)
	}
	return x509.VerifyOptions{Roots: trusted, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage}}
}

func (a authority) valid(at time.Time) bool {
	return !at.Before(a.since) && (a.until == nil || !at.After(*a.until))
}
