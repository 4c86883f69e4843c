package preflight

import (
	"errors"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/stacks"
)

func TestUnit_WhatAnotherStackSaysIsAwaited(t *testing.T) {
	t.Parallel()
	_, err := mocks.Run{Project: stacks.Apps, Root: "../..", Stack: "dev"}.Do(func(ctx *pulumi.Context) error {
		said := pulumi.String("text").ToStringOutput()
		text, known, err := await(ctx, said)
		assert.Equal(t, "text", text)
		assert.True(t, known)
		require.NoError(t, err)

		failed, ok := said.ApplyT(func(string) (string, error) { return "", errors.New("no stack") }).(pulumi.StringOutput)
		require.True(t, ok)
		_, known, err = await(ctx, failed)
		assert.False(t, known)
		require.ErrorContains(t, err, "no stack")
		return nil
	})
	require.NoError(t, err)
}
