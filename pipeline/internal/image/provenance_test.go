package image

import (
	"errors"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unread is an image whose manifest cannot be read, or whose digest cannot.
type unread struct {
	v1.Image
	digest, manifest error
}

func (u unread) Digest() (v1.Hash, error) {
	if u.digest != nil {
		return v1.Hash{}, u.digest
	}
	return u.Image.Digest()
}

func (u unread) Manifest() (*v1.Manifest, error) {
	if u.manifest != nil {
		return nil, u.manifest
	}
	return u.Image.Manifest()
}

func TestUnit_WhatCannotBeReadIsNoAttachment(t *testing.T) {
	t.Parallel()
	made, err := random.Image(10, 1)
	require.NoError(t, err)
	digest, err := made.Digest()
	require.NoError(t, err)
	for says, test := range map[string]struct {
		digest v1.Hash
		found  v1.Image
		err    error
	}{
		"no image":       {digest, made, errors.New("no image")},
		"no digest":      {digest, unread{Image: made, digest: errors.New("no digest")}, nil},
		"has become sha": {v1.Hash{Algorithm: "sha256"}, made, nil},
		"no manifest":    {digest, unread{Image: made, manifest: errors.New("no manifest")}, nil},
	} {
		read, err := asAttached(test.digest, test.found, test.err)
		require.ErrorContains(t, err, says)
		assert.Zero(t, read)
	}
	read, err := asAttached(digest, made, nil)
	require.NoError(t, err)
	assert.Equal(t, digest, read.digest)
	assert.Len(t, read.layers, 1)
	lost := read
	lost.layers = []v1.Descriptor{{Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0a", 32)}}}
	_, err = lost.text()
	require.Error(t, err, "the layer is not there")
	assert.False(t, read.isProvenance(), "its layer is no bundle")
	read.layers[0].MediaType, read.layers[0].Size = "application/vnd.dev.sigstore.bundle.v0.3+json", largest
	assert.True(t, read.isProvenance())
	read.layers[0].Size++
	assert.False(t, read.isProvenance(), "it is too large")
}
