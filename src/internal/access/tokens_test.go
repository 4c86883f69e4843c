package access_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/access"
)

func TestUnit_ATokenNamesItsSender(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte("north first\n\nnorth  second\r\nsouth third\nfourth\n"), 0o600))
	tokens := access.Tokens{File: file}
	for authorization, sender := range map[string]string{
		"Bearer first": "north", "bearer second": "north", "BEARER   third": "south", "Bearer fourth": access.AnySender,
	} {
		name, err := tokens.Sender(authorization)
		require.NoError(t, err, authorization)
		assert.Equal(t, sender, name, authorization)
	}
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Basic first", "first", "Bearerfirst"} {
		_, err := tokens.Sender(authorization)
		require.ErrorIs(t, err, access.ErrNoToken, authorization)
	}
	for _, authorization := range []string{"Bearer north", "Bearer north first", "Bearer firs", "Bearer first second", "Bearer First"} {
		_, err := tokens.Sender(authorization)
		require.ErrorIs(t, err, access.ErrWrongToken, authorization)
	}
	name, err := access.Tokens{}.Sender("")
	require.NoError(t, err)
	assert.Equal(t, access.AnySender, name, "no file, no tokens")
}

func TestUnit_ABrokenFileOfTokensLetsNobodyIn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	tokens := access.Tokens{File: file}
	for content, why := range map[string]string{
		"":                      "is empty",
		" \n\n":                 "is empty",
		"north first second\n":  "line 1",
		"north first\nNORTH x,": "line 2",
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := tokens.Sender("Bearer first")
		require.ErrorContains(t, err, why)
		require.NotErrorIs(t, err, access.ErrWrongToken)
		assert.NotContains(t, err.Error(), "first")
	}
	require.NoError(t, os.Remove(file))
	_, err := tokens.Sender("Bearer first")
	require.ErrorContains(t, err, "cannot be read")
}
