package provenance

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What stands behind a text may be meant for another reader: such an extension claims nothing.
func TestUnit_AClaimIsOneTextAndNothingElse(t *testing.T) {
	t.Parallel()
	text, err := asn1.MarshalWithParams("abc1234", "utf8")
	require.NoError(t, err)
	for want, value := range map[string][]byte{"abc1234": text, "": append(text[:len(text):len(text)], text...)} {
		assert.Equal(t, want, claimed(&x509.Certificate{Extensions: []pkix.Extension{{Id: commit, Value: value}}}, commit))
	}
	assert.Empty(t, claimed(&x509.Certificate{Extensions: []pkix.Extension{{Id: commit, Value: []byte("abc1234")}}}, commit))
}
