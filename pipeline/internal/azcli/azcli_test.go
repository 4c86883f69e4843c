package azcli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errExit = errors.New("exit status 1")

func TestUnit_WhatTheCLISaysIsTold(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]struct {
		text      string
		forbidden bool
		passes    bool
	}{
		`ERROR: Forbidden({"error":{"code":"AuthorizationFailed","message":"no right"}})`: {
			"Azure answers Forbidden (AuthorizationFailed: no right)", true, false,
		},
		"WARNING: an extension\nERROR: Too Many Requests({\"error\":{\"code\":\"TooManyRequests\",\"message\":\"later\"}})\n": {
			"Azure answers Too Many Requests (TooManyRequests: later)", false, true,
		},
		"ERROR: Gateway Time-out(<html>(busy)</html>)":   {"Azure answers Gateway Time-out (: <html>(busy)</html>)", false, true},
		`ERROR: Bad Request({"code":"X","message":"y"})`: {"Azure answers Bad Request (X: y)", false, false},
		"ERROR: Service Unavailable":                     {"Azure answers Service Unavailable", false, true},
	} {
		err := explain(said, errExit)
		require.EqualError(t, err, want.text)
		var refusal *Refusal
		require.ErrorAs(t, err, &refusal)
		assert.Equal(t, want.forbidden, refusal.Forbidden(), said)
		assert.Equal(t, want.passes, refusal.passes(), said)
	}
	for _, said := range []string{
		"ERROR: Please run 'az login' to setup account.", "ERROR: AADSTS50078: Presented multi-factor authentication has expired",
	} {
		require.ErrorIs(t, explain(said, errExit), ErrSignedOut)
	}
	require.ErrorIs(t, explain("", errExit), errExit)
	require.ErrorContains(t, explain("ERROR: 'rest' is misspelled", errExit), "misspelled")
}

func TestUnit_OnlyAPathIsAskedFor(t *testing.T) {
	t.Parallel()
	cli := CLI{Program: "az-of-nowhere", Patience: time.Minute}
	for _, path := range []string{"subscriptions/x", "https://management.azure.com/subscriptions/x", ""} {
		_, err := cli.Get(t.Context(), path)
		require.ErrorContains(t, err, "is no path of Azure Resource Manager", path)
	}
	_, err := cli.Get(t.Context(), "/subscriptions/x?api-version=1")
	require.ErrorIs(t, err, ErrMissing)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = cli.run(ctx, "version")
	require.ErrorIs(t, err, context.Canceled)
}

// FuzzErrors: every message of a failing Azure CLI becomes an error with a text, and no error is
// both a missing right and temporary.
func FuzzErrors(f *testing.F) {
	for _, said := range []string{
		"", "ERROR: ", "ERROR: Forbidden()", "Forbidden({)", `ERROR: Forbidden({"error":null})`, `ERROR: Too Many Requests({"error":{}})`,
		"WARNING: x\nERROR: Not Found({\"code\":1})", "ERROR: Please run 'az login' to setup account.", "Service Unavailable", "\nERROR: \nERROR: x",
	} {
		f.Add(said)
	}
	f.Fuzz(func(t *testing.T, said string) {
		err := explain(said, errExit)
		require.Error(t, err)
		assert.NotEmpty(t, strings.TrimSpace(err.Error()))
		var refusal *Refusal
		if errors.As(err, &refusal) {
			assert.NotEmpty(t, refusal.Reason)
			assert.Contains(t, said, refusal.Reason)
			assert.False(t, refusal.Forbidden() && refusal.passes(), "%q", said)
		}
	})
}
