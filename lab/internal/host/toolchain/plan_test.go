package toolchain

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_WhatIsToCostTimeIsSaidBefore(t *testing.T) {
	b := newBench(t)
	u := newUpstream(t)
	a := u.program("1.2.3")
	a.Size = 0
	b.pin(t, a)
	names := []string{"fake", ArgoCD, ArgoRollouts}
	for _, name := range names[1:] {
		tool := b.catalogue[0]
		tool.Name = name
		b.catalogue = append(b.catalogue, tool)
	}
	_, err := b.Resolve(t.Context(), names...)
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^Once, the lab has to download fake, `+
		`and build argocd, rollouts-controller \(about .+ on \d+ processors\)\. What cannot be downloaded is built \(all of it: about .+ on \d+ processors\)\.$`, b.out.String())
	assert.Regexp(t, `(?m)^rollouts-controller 1\.2\.3: done  built \(`, b.out.String())

	// What is there already is not spoken of, and neither is what was announced before.
	b.out.Reset()
	other := b.catalogue[0]
	other.Name = Kustomize
	b.catalogue = append(b.catalogue, other)
	missing, err := b.Announce(t.Context(), append(names, Kustomize)...)
	require.NoError(t, err)
	assert.Equal(t, []string{Kustomize}, missing)
	assert.Equal(t, 1, strings.Count(b.out.String(), "Once, the lab has to build kustomize"), b.out.String())
	_, err = b.Resolve(t.Context(), Kustomize)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(b.out.String(), "Once, "), b.out.String())

	b.out.Reset()
	_, err = b.Resolve(t.Context(), names...)
	require.NoError(t, err)
	assert.Empty(t, b.out.String())
}

func TestUnit_EachBuildIsCountedOff(t *testing.T) {
	p := &plan{processors: 2}
	p.left = p.share(Tool{Name: ArgoCD}) + p.share(Tool{Name: ArgoRollouts}) + 3*time.Minute
	p.built(Tool{Name: ArgoRollouts})
	assert.Equal(t, "; about 3 minutes left", p.built(Tool{Name: ArgoCD}))
	assert.Empty(t, p.built(Tool{Name: KubeAPIServer}), "the last minute is not told")
}

func TestUnit_EveryToolHasAnEstimate(t *testing.T) {
	for _, tool := range tools() {
		assert.Positive(t, buildSeconds()[tool.Name], tool.Name)
	}
}
