// Package provenance verifies which workflow built an image, and from which commit. It reads the
// provenance that GitHub signs with its own Sigstore, for private repositories.
package provenance

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The types that a provenance names. Sources: in-toto/attestation v1.1.0, spec/v1/statement.md;
// slsa.dev, spec v1.0, "Provenance".
const (
	statementType = "https://in-toto.io/Statement/v1"
	predicateType = "https://slsa.dev/provenance/v1"
)

// Wanted is what the provenance of an image has to say.
type Wanted struct {
	// Digest is that of the image.
	Digest v1.Hash
	// Repository is where the source is, such as https://github.com/owner/name.
	Repository string
	// Workflow is the file that builds, such as .github/workflows/ci-cd.yml, and Ref the branch that
	// it runs on, such as refs/heads/develop.
	Workflow, Ref string
	// Commit is the commit that was built, or the first digits of its hash.
	Commit string
}

// MissingError says that an image has no provenance attached.
type MissingError struct{ Digest v1.Hash }

// Error says how an image gets a provenance.
func (e *MissingError) Error() string {
	return fmt.Sprintf("image %s has no signed provenance; release it again with ci-cd.yml, which signs it, or, where GitHub does not "+
		"sign, set the repository variable ATTEST to false", e.Digest)
}

// Verify returns no error if one of the bundles that are attached to an image is a provenance with
// the wanted content. Everyone who may push to the registry can attach others: they do no harm. The
// bundles are Sigstore's, as JSON.
func Verify(roots Roots, bundles [][]byte, wanted Wanted) error {
	if len(bundles) == 0 {
		return &MissingError{Digest: wanted.Digest}
	}
	var refused []error
	for _, text := range bundles {
		err := verify(roots, text, wanted)
		if err == nil {
			return nil
		}
		refused = append(refused, fmt.Errorf("the provenance of image %s: it %w", wanted.Digest, err))
	}
	return errors.Join(refused...)
}

func verify(roots Roots, text []byte, wanted Wanted) error {
	signed, err := read(text)
	if err != nil {
		return err
	}
	if err := signed.verify(roots); err != nil {
		return err
	}
	return errors.Join(wanted.of(signed.certificate), wanted.in(signed.payload))
}

// in compares the wanted content with the signed statement.
func (w Wanted) in(payload []byte) error {
	var statement struct {
		Type          string `json:"_type"`
		PredicateType string `json:"predicateType"`
		Subject       []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
	}
	if err := json.Unmarshal(payload, &statement); err != nil {
		return fmt.Errorf("is signed and is no statement; see what has signed it: %w", err)
	}
	if statement.Type != statementType || statement.PredicateType != predicateType {
		return fmt.Errorf("is a %q of a %q and not a %q of a %q; have actions/attest-build-provenance sign it",
			statement.PredicateType, statement.Type, predicateType, statementType)
	}
	var others []string
	for _, subject := range statement.Subject {
		if subject.Digest[w.Digest.Algorithm] == w.Digest.Hex {
			return nil
		}
		others = append(others, w.Digest.Algorithm+":"+subject.Digest[w.Digest.Algorithm])
	}
	return fmt.Errorf("is that of another image, %s; promote that, or release this one again", strings.Join(others, ", "))
}

// Extensions of GitHub's certificates with the claims of a workflow's token. Source:
// sigstore/fulcio at 001376a, docs/oid-info.md.
var (
	issuer      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}
	environment = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 11}
	repository  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 12}
	commit      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 13}
	ref         = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 14}
	workflow    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 18}
)

// of compares the wanted content with the holder of a certificate. The certificate names two
// workflows: the one that signed, and the one that the run began with.
func (w Wanted) of(certificate *x509.Certificate) error {
	file := w.Repository + "/" + w.Workflow + "@" + w.Ref
	var mistakes []error
	signer := "no workflow"
	if len(certificate.URIs) == 1 {
		signer = certificate.URIs[0].String()
	}
	if signer != file {
		mistakes = append(mistakes, fmt.Errorf("is signed by %s and not by %s; promote what that workflow has built", signer, file))
	}
	for _, claim := range []struct {
		id             asn1.ObjectIdentifier
		what, is, then string
	}{
		{
			issuer, "the issuer of the workflow's token", "https://token.actions.githubusercontent.com",
			"have it signed in a workflow of GitHub",
		},
		{environment, "the kind of runner", "github-hosted", "build on a runner of GitHub"},
		{repository, "the repository", w.Repository, "promote what was built from this one"},
		{ref, "the branch", w.Ref, "promote what was built from this one"},
		{workflow, "the workflow that the run began with", file, "promote what that workflow has built"},
	} {
		if said := claimed(certificate, claim.id); said != claim.is {
			mistakes = append(mistakes, fmt.Errorf("names as %s %q and not %q; %s", claim.what, said, claim.is, claim.then))
		}
	}
	if said := claimed(certificate, commit); w.Commit == "" || !strings.HasPrefix(said, w.Commit) {
		mistakes = append(mistakes, fmt.Errorf("names as the commit %q, and the tag %q; release that commit, and promote it",
			said, w.Commit))
	}
	return errors.Join(mistakes...)
}

// claimed is the text of an extension, or "".
func claimed(certificate *x509.Certificate, id asn1.ObjectIdentifier) string {
	for _, extension := range certificate.Extensions {
		var text string
		if !extension.Id.Equal(id) {
			continue
		}
		if rest, err := asn1.UnmarshalWithParams(extension.Value, &text, "utf8"); err == nil && len(rest) == 0 {
			return text
		}
	}
	return ""
}
