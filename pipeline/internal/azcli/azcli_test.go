package azcli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
		"ERROR: Forbidden": {"Azure answers Forbidden", true, false},
		`ERROR: Not Found({"error":{"code":"AuthorizationFailed","message":"no right"}})`: {
			"Azure answers Not Found (AuthorizationFailed: no right)", true, false,
		},
		`ERROR: Too Many Requests({"error":{"code":"AuthorizationFailed","message":""}})`: {
			"Azure answers Too Many Requests (AuthorizationFailed: )", true, false,
		},
		`ERROR: Conflict({"error":{"code":"TooManyRequests","message":"later"}})`: {
			"Azure answers Conflict (TooManyRequests: later)", false, true,
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

// says makes an Azure CLI that gives one answer, ends with a code, and counts how often it is
// asked.
func says(t *testing.T, answer string, code int) (cli CLI, asked func() int) {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho >>%[1]s/asked\ncat %[1]s/answer >&%[2]d\nexit %[3]d\n", dir, min(code, 1)+1, code)
	// A process that another test starts meanwhile would have the file open for writing, and then the
	// file cannot be run (https://go.dev/issue/22315).
	syscall.ForkLock.RLock()
	err := os.WriteFile(filepath.Join(dir, "az"), []byte(script), 0o700)
	syscall.ForkLock.RUnlock()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "answer"), []byte(answer), 0o600))
	cli = Default()
	cli.Program, cli.Pause = filepath.Join(dir, "az"), time.Millisecond
	return cli, func() int {
		text, err := os.ReadFile(filepath.Join(dir, "asked"))
		require.NoError(t, err)
		return len(text)
	}
}

func TestUnit_AQuestionIsAskedFourTimesAtMost(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]int{"ERROR: Too Many Requests": 4, "ERROR: Forbidden": 1, "ERROR: 'rest' is misspelled": 1} {
		cli, asked := says(t, answer, 1)
		_, err := cli.Get(t.Context(), "/subscriptions/x?api-version=1")
		require.Error(t, err)
		assert.Equal(t, want, asked(), answer)
	}
}

func TestUnit_WhoIsSignedInIsNamedOrNotKnown(t *testing.T) {
	t.Parallel()
	const id = "9a1c0a52-6c1e-4d4c-9f2e-0c4f6b1d7e11"
	user, service := Account{UserType: "user"}, Account{UserType: "servicePrincipal", UserName: id}
	for _, test := range []struct {
		answer string
		code   int
		// as is whose object id is asked for; nil asks for the account.
		as   *Account
		says string // "" is no error
	}{
		{`{"id": "` + id + `", "user": {"name": "a", "type": "user"}}`, 0, nil, ""},
		{`{"id": "none"}`, 0, nil, "az account show: the answer names no subscription; run az account set"},
		{`{`, 0, nil, "az account show: the answer cannot be read"},
		{`ERROR: broken`, 1, nil, "az fails: broken"},
		{`{"id": "` + id + `"}`, 0, &user, ""},
		{`{"id": "` + id + `"}`, 0, &service, ""},
		{`{"id": "none"}`, 0, &service, "az ad sp show: the answer has no object id"},
		{`{`, 0, &user, "az ad signed-in-user show: the answer cannot be read"},
		{`ERROR: broken`, 1, &user, "az fails: broken"},
		{`{"id": "` + id + `"}`, 0, &Account{UserType: "servicePrincipal", UserName: "systemAssignedIdentity"}, "does not tell the object id"},
		{`{"id": "` + id + `"}`, 0, &Account{UserType: "other", UserName: id}, "does not tell the object id"},
	} {
		cli, _ := says(t, test.answer, test.code)
		var found string
		var err error
		if test.as == nil {
			var account Account
			account, err = cli.Account(t.Context())
			found = account.SubscriptionID
		} else {
			found, err = cli.ObjectID(t.Context(), *test.as)
		}
		if test.says != "" {
			require.ErrorContains(t, err, test.says)
			assert.Empty(t, found)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, id, found)
	}
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
