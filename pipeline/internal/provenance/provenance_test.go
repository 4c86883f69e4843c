package provenance_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/provenance"
	"github.com/gridos/sharedinfra/pipeline/internal/provenance/provenancetest"
)

func digest(digit string) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: strings.Repeat(digit, 64)}
}

func wanted() provenance.Wanted {
	claims := provenancetest.Right()
	return provenance.Wanted{
		Digest: digest("a"), Repository: claims.Repository, Workflow: claims.Workflow, Ref: claims.Ref, Commit: claims.Commit[:7],
	}
}

func roots(t *testing.T, of *provenancetest.Sigstore) provenance.Roots {
	t.Helper()
	read, err := provenance.ReadRoots(of.Roots())
	require.NoError(t, err)
	return read
}

// changed is a bundle with another value at a path.
func changed(t *testing.T, bundle []byte, value any, path ...string) []byte {
	t.Helper()
	var whole map[string]any
	require.NoError(t, json.Unmarshal(bundle, &whole))
	at := whole
	for _, name := range path[:len(path)-1] {
		at = at[name].(map[string]any)
	}
	at[path[len(path)-1]] = value
	text, err := json.Marshal(whole)
	require.NoError(t, err)
	return text
}

// at is what a bundle has at a path.
func at(t *testing.T, bundle []byte, path ...string) any {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal(bundle, &value))
	for _, name := range path {
		value = value.(map[string]any)[name]
	}
	return value
}

func TestUnit_OnlyAProvenanceOfOurWorkflowIsAccepted(t *testing.T) {
	t.Parallel()
	github, another := provenancetest.New(t), provenancetest.New(t)
	now, statement := github.Now.Add(-time.Minute), provenancetest.Statement(digest("a"))
	right := github.Sign(statement, provenancetest.Right(), now, true)
	claiming := func(change func(*provenancetest.Claims)) []byte {
		claims := provenancetest.Right()
		change(&claims)
		return github.Sign(statement, claims, now, true)
	}
	saying := func(old, text string) []byte {
		return github.Sign(bytes.Replace(statement, []byte(old), []byte(text), 1), provenancetest.Right(), now, true)
	}
	trusted := roots(t, github)
	require.NoError(t, provenance.Verify(trusted, [][]byte{right}, wanted()))
	require.NoError(t, provenance.Verify(trusted, [][]byte{[]byte("{}"), right, []byte("no JSON")}, wanted()), "others do no harm")

	for name, test := range map[string]struct {
		bundle []byte
		says   string
	}{
		"no JSON": {[]byte("no JSON"), "is no bundle of Sigstore; attach one"},
		"empty":   {[]byte("{}"), `is a "" with 0 signatures`},
		"other key": {
			changed(t, right, at(t, another.Sign(statement, provenancetest.Right(), now, true), "dsseEnvelope", "signatures"), "dsseEnvelope", "signatures"),
			"is not what was signed, or not with the key of its certificate; release the commit again",
		},
		"changed payload": {
			changed(t, right, base64.StdEncoding.EncodeToString(provenancetest.Statement(digest("b"))), "dsseEnvelope", "payload"),
			"is not what was signed",
		},
		"two signatures": {changed(t, right, []any{map[string]any{}, map[string]any{}}, "dsseEnvelope", "signatures"), "with 2 signatures"},
		"other type":     {changed(t, right, "text/plain", "dsseEnvelope", "payloadType"), `of a "text/plain"`},
		"old bundle":     {changed(t, right, "application/vnd.dev.sigstore.bundle+json;version=0.1", "mediaType"), "version=0.1"},
		"no certificate": {changed(t, right, map[string]any{}, "verificationMaterial", "certificate"), "has no certificate of who signed it"},
		"other authorities": {
			another.Sign(statement, provenancetest.Right(), now, true),
			"has a timestamp that no authority of the trusted roots made of this signature; get the roots again",
		},
		"other issuer": { // with a certificate that is its own, and a timestamp that is right
			github.SignBy(another, statement, provenancetest.Right(), now), "that no authority of the trusted roots issued for then",
		},
		"no timestamp": {github.Sign(statement, provenancetest.Right(), now, false), "has no timestamp of an authority: GitHub signs so for public"},
		"timestamp of another": {
			changed(t, right, at(t, github.Sign(statement, provenancetest.Right(), now, true), "verificationMaterial", "timestampVerificationData"),
				"verificationMaterial", "timestampVerificationData"),
			"it is of another signature",
		},
		"broken timestamp": {
			changed(t, right, []any{map[string]any{"signedTimestamp": "AAAA"}}, "verificationMaterial", "timestampVerificationData", "rfc3161Timestamps"),
			"has a timestamp that no authority",
		},
		"signed after the certificate": {github.Sign(statement, provenancetest.Right(), now.Add(-time.Hour), true), "issued for then"},
		"signed before it":             {github.Sign(statement, provenancetest.Right(), now.Add(time.Hour), true), "issued for then"},
		"other image": {
			github.Sign(provenancetest.Statement(digest("b")), provenancetest.Right(), now, true),
			"is that of another image, " + digest("b").String() + "; promote that",
		},
		"other statement": {saying("in-toto.io/Statement/v1", "in-toto.io/Statement/v0"), `of a "https://in-toto.io/Statement/v0"`},
		"other predicate": {saying("slsa.dev/provenance/v1", "spdx.dev/Document"), `is a "https://spdx.dev/Document"`},
		"no statement":    {github.Sign([]byte("text"), provenancetest.Right(), now, true), "is signed and is no statement"},
		"other repository": {
			claiming(func(c *provenancetest.Claims) { c.Repository = "https://github.com/intruder/sharedinfra" }),
			`names as the repository "https://github.com/intruder/sharedinfra" and not "https://github.com/gridos/sharedinfra"; promote what`,
		},
		"other workflow": {
			claiming(func(c *provenancetest.Claims) { c.Workflow = ".github/workflows/mine.yml" }),
			"is signed by https://github.com/gridos/sharedinfra/.github/workflows/mine.yml@refs/heads/develop and not by",
		},
		"other branch": {
			claiming(func(c *provenancetest.Claims) { c.Ref = "refs/heads/feature/x" }),
			`names as the branch "refs/heads/feature/x" and not "refs/heads/develop"`,
		},
		"other commit": {
			claiming(func(c *provenancetest.Claims) { c.Commit = strings.Repeat("0", 40) }),
			`names as the commit "` + strings.Repeat("0", 40) + `", and the tag "abc1234"; release that commit`,
		},
		"other runner": {claiming(func(c *provenancetest.Claims) { c.Runner = "self-hosted" }), `names as the kind of runner "self-hosted"`},
		"other token":  {claiming(func(c *provenancetest.Claims) { c.Issuer = "https://gitlab.com" }), "the issuer of the workflow's token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := provenance.Verify(trusted, [][]byte{test.bundle}, wanted())
			require.ErrorContains(t, err, "the provenance of image "+digest("a").String()+": it ")
			assert.ErrorContains(t, err, test.says)
		})
	}
	var missing *provenance.MissingError
	require.ErrorAs(t, provenance.Verify(trusted, nil, wanted()), &missing)
	require.ErrorContains(t, missing, "has no signed provenance; release it again with ci-cd.yml")
	noCommit := wanted()
	noCommit.Commit = ""
	require.ErrorContains(t, provenance.Verify(trusted, [][]byte{right}, noCommit), "names as the commit")
}

func TestUnit_TrustedRootsThatTrustNobodyAreRefused(t *testing.T) {
	t.Parallel()
	one := provenancetest.New(t)
	both, err := provenance.ReadRoots(append(provenancetest.New(t).Roots(), append([]byte("\n"), one.Roots()...)...))
	require.NoError(t, err, "gh writes one on each line")
	require.NoError(t, provenance.Verify(both,
		[][]byte{one.Sign(provenancetest.Statement(digest("a")), provenancetest.Right(), one.Now, true)}, wanted()))
	for _, text := range []string{"", "{}", "{", `{"certificateAuthorities":[{"certChain":{"certificates":[]}}]}`, `{"timestampAuthorities":[
		{"certChain":{"certificates":[{"rawBytes":"AAAA"}]}}]}`} {
		_, err := provenance.ReadRoots([]byte(text))
		require.ErrorContains(t, err, "gh attestation trusted-root", text)
	}
	for _, empty := range []string{`{"timestampAuthorities":[{}],"certificateAuthorities":[{"certChain":{"certificates":[]}}]}`, "{}"} {
		read, err := provenance.ReadRoots([]byte(empty))
		require.ErrorContains(t, err, "name 0 authorities of certificates and 0 of timestamps")
		assert.Zero(t, read)
	}
	// An authority may be the end of its own chain.
	var roots map[string]any
	require.NoError(t, json.Unmarshal(one.Roots(), &roots))
	for _, kind := range []string{"certificateAuthorities", "timestampAuthorities"} {
		chain := roots[kind].([]any)[0].(map[string]any)["certChain"].(map[string]any)
		chain["certificates"] = chain["certificates"].([]any)[:1]
	}
	text, err := json.Marshal(roots)
	require.NoError(t, err)
	_, err = provenance.ReadRoots(text)
	require.NoError(t, err)
	// An authority is trusted for the time in the root.
	ended, err := provenance.ReadRoots(bytes.ReplaceAll(one.Roots(), []byte(`"validFor":{`), []byte(`"validFor":{"end":"2020-01-01T00:00:00Z",`)))
	require.NoError(t, err)
	require.ErrorContains(t, provenance.Verify(ended,
		[][]byte{one.Sign(provenancetest.Statement(digest("a")), provenancetest.Right(), one.Now, true)}, wanted()), "no authority")
}
