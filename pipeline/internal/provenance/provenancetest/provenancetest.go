// Package provenancetest is a Sigstore for tests, with keys of its own: it issues certificates to
// workflows, as GitHub's does, stamps signatures with the time, and attaches its bundles to images.
package provenancetest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"
)

// Claims are what a workflow's token says of its run.
type Claims struct{ Issuer, Runner, Repository, Workflow, Ref, Commit string }

// Commit is the one that the claims of Right name.
const Commit = "abc1234def5678abc1234def5678abc1234def56"

// Right are the claims of ci-cd.yml on develop.
func Right() Claims {
	return Claims{
		Issuer: "https://token.actions.githubusercontent.com", Runner: "github-hosted", Repository: "https://github.com/gridos/sharedinfra",
		Workflow: ".github/workflows/ci-cd.yml", Ref: "refs/heads/develop", Commit: Commit,
	}
}

// pair is a certificate with its key.
type pair struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Sigstore is one.
type Sigstore struct {
	t                              *testing.T
	root, signer, clockRoot, clock pair
	// Now is what its clock says.
	Now time.Time
}

// New makes one.
func New(t *testing.T) *Sigstore {
	t.Helper()
	s := &Sigstore{t: t, Now: time.Now()}
	s.root = s.issue(pair{}, "root", nil, x509.Certificate{IsCA: true})
	s.signer = s.issue(s.root, "issuer", []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, x509.Certificate{IsCA: true})
	s.clockRoot = s.issue(pair{}, "root of clocks", nil, x509.Certificate{IsCA: true})
	s.clock = s.issue(s.clockRoot, "clock", []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}, x509.Certificate{})
	return s
}

func (s *Sigstore) issue(by pair, called string, usage []x509.ExtKeyUsage, as x509.Certificate) pair {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s.t, err)
	as.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(s.t, err)
	as.Subject, as.ExtKeyUsage, as.BasicConstraintsValid = pkix.Name{CommonName: called}, usage, true
	if as.NotAfter.IsZero() {
		as.NotBefore, as.NotAfter = s.Now.Add(-24*time.Hour), s.Now.Add(24*time.Hour)
	}
	as.KeyUsage = x509.KeyUsageDigitalSignature
	if as.IsCA {
		as.KeyUsage = x509.KeyUsageCertSign
	}
	parent, signing := &as, key
	if by.key != nil {
		parent, signing = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &as, parent, &key.PublicKey, signing)
	require.NoError(s.t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(s.t, err)
	return pair{certificate, key}
}

// Roots is what gh attestation trusted-root would print.
func (s *Sigstore) Roots() []byte {
	s.t.Helper()
	authority := func(chain ...pair) map[string]any {
		var certificates []map[string][]byte
		for _, p := range chain {
			certificates = append(certificates, map[string][]byte{"rawBytes": p.certificate.Raw})
		}
		return map[string]any{
			"certChain": map[string]any{"certificates": certificates},
			"validFor":  map[string]any{"start": s.root.certificate.NotBefore},
		}
	}
	text, err := json.Marshal(map[string]any{
		"mediaType":              "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"certificateAuthorities": []any{authority(s.signer, s.root)},
		"timestampAuthorities":   []any{authority(s.clock, s.clockRoot)},
	})
	require.NoError(s.t, err)
	return text
}

// Statement is the provenance of an image.
func Statement(of v1.Hash) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1","predicate":{},`+
		`"subject":[{"name":"devgridosacr.azurecr.io/gridos","digest":{%q:%q}}]}`, of.Algorithm, of.Hex)
}

// Sign signs a statement for a workflow, whose certificate was issued for ten minutes from a moment
// on. Without a stamp the bundle has no timestamp.
func (s *Sigstore) Sign(statement []byte, claims Claims, from time.Time, stamp bool) []byte {
	s.t.Helper()
	if !stamp {
		return s.sign(s, nil, statement, claims, from)
	}
	return s.sign(s, s, statement, claims, from)
}

// SignBy signs as Sign does, with a certificate of another one and a timestamp of this one.
func (s *Sigstore) SignBy(issuer *Sigstore, statement []byte, claims Claims, from time.Time) []byte {
	s.t.Helper()
	return s.sign(issuer, s, statement, claims, from)
}

func (s *Sigstore) sign(issuer, clock *Sigstore, statement []byte, claims Claims, from time.Time) []byte {
	s.t.Helper()
	file := claims.Repository + "/" + claims.Workflow + "@" + claims.Ref
	at, err := url.Parse(file)
	require.NoError(s.t, err)
	as := x509.Certificate{URIs: []*url.URL{at}, NotBefore: from, NotAfter: from.Add(10 * time.Minute)}
	for id, text := range map[int]string{
		8: claims.Issuer, 11: claims.Runner, 12: claims.Repository, 13: claims.Commit, 14: claims.Ref, 18: file,
	} {
		value, err := asn1.MarshalWithParams(text, "utf8")
		require.NoError(s.t, err)
		oid := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, id}
		as.ExtraExtensions = append(as.ExtraExtensions, pkix.Extension{Id: oid, Value: value})
	}
	leaf := s.issue(issuer.signer, "", []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, as)
	const kind = "application/vnd.in-toto+json"
	hash := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(statement), statement))
	signature, err := ecdsa.SignASN1(rand.Reader, leaf.key, hash[:])
	require.NoError(s.t, err)
	material := map[string]any{"certificate": map[string]any{"rawBytes": leaf.certificate.Raw}}
	if clock != nil {
		material["timestampVerificationData"] = map[string]any{
			"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": clock.stamp(signature)}},
		}
	}
	bundle, err := json.Marshal(map[string]any{
		"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material,
		"dsseEnvelope": map[string]any{
			"payload": statement, "payloadType": kind, "signatures": []any{map[string]any{"sig": signature}},
		},
	})
	require.NoError(s.t, err)
	return bundle
}

// stamp makes a timestamp of a signature, without the certificate of the clock, as GitHub's does.
func (s *Sigstore) stamp(signature []byte) []byte {
	s.t.Helper()
	hash := sha256.Sum256(signature)
	response, err := (&timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: hash[:], Time: s.Now, Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
	}).CreateResponseWithOpts(s.clock.certificate, s.clock.key, crypto.SHA384)
	require.NoError(s.t, err)
	return response
}

// Attach attaches a bundle to an image in a registry, as actions/attest does. Source:
// sigstore/sigstore-js at 002a7a0, packages/oci/src/image.ts.
func Attach(t *testing.T, repository name.Repository, of v1.Descriptor, bundle []byte) {
	t.Helper()
	const kind, nothing = "application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.oci.empty.v1+json"
	written := func(text []byte, kind types.MediaType) v1.Descriptor {
		layer := static.NewLayer(text, kind)
		require.NoError(t, remote.WriteLayer(repository, layer))
		digest, err := layer.Digest()
		require.NoError(t, err)
		return v1.Descriptor{MediaType: kind, Size: int64(len(text)), Digest: digest}
	}
	text, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "artifactType": kind, "subject": of,
		"config": written([]byte("{}"), nothing), "layers": []v1.Descriptor{written(bundle, kind)},
	})
	require.NoError(t, err)
	digest, _, err := v1.SHA256(bytes.NewReader(text))
	require.NoError(t, err)
	require.NoError(t, remote.Put(repository.Digest(digest.String()), manifest(text)))
}

// manifest is one as it is written.
type manifest []byte

func (m manifest) RawManifest() ([]byte, error) { return m, nil }

func (m manifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
