package audit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/audit"
)

// database serves an answer to the question that each audit begins with.
func database(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/index/db.json", r.URL.Path)
		w.WriteHeader(status)
		_, err := w.Write([]byte(body))
		assert.NoError(t, err)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestUnit_NotHavingLookedIsNotHavingFoundNothing(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, address := range map[string]string{
		"nobody answers": gone.URL,
		"refused":        database(t, http.StatusForbidden, "not available"),
		"a page":         database(t, http.StatusOK, "<html>Sign in to the network</html>"),
		"another JSON":   database(t, http.StatusOK, `{"message":"no"}`),
		"no address":     "vuln example",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := audit.Audit{Database: address, Modules: []string{"."}, Check: func(context.Context, string, string) error {
				assert.Fail(t, "there is nothing to look at modules with")
				return nil
			}}.Run(t.Context())
			require.ErrorIs(t, err, audit.ErrNotAudited)
			require.ErrorContains(t, err, "NOTHING WAS AUDITED: the vulnerability database "+address+" cannot be read: ")
		})
	}
}

func TestUnit_EveryModuleIsLookedAt(t *testing.T) {
	t.Parallel()
	address := database(t, http.StatusOK, `{"modified":"2026-01-31T12:00:00Z"}`)
	look := func(findings map[string]error) (looked []string, err error) {
		modified, err := audit.Audit{Database: address, Modules: []string{".", "src"}, Check: func(_ context.Context, from, module string) error {
			assert.Equal(t, address, from)
			looked = append(looked, module)
			return findings[module]
		}}.Run(t.Context())
		assert.Equal(t, 2026, modified.Year())
		return looked, err
	}
	looked, err := look(nil)
	require.NoError(t, err)
	assert.Equal(t, []string{".", "src"}, looked)

	looked, err = look(map[string]error{".": errors.New("exit status 3"), "src": errors.New("exit status 1")})
	assert.Equal(t, []string{".", "src"}, looked, "one finding keeps nobody from the next")
	require.NotErrorIs(t, err, audit.ErrNotAudited)
	require.ErrorContains(t, err, "the module in .: exit status 3")
	require.ErrorContains(t, err, "the module in src: exit status 1")
}

// A command that ends with 3 has found something, and one that ends otherwise could not look.
func TestUnit_WhatGovulncheckSaysIsToldFromItsFailure(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\necho \"$PWD $*\"\nexit \"$GOVULNCHECK\"\n"), 0o700))
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	checkout, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(checkout, "src"), 0o700))
	for code, says := range map[string]string{"0": "", "3": "its code reaches known vulnerabilities", "1": "could not be looked at: govulncheck: exit status 1"} {
		t.Setenv("GOVULNCHECK", code)
		var out strings.Builder
		err := audit.Govulncheck(checkout, &out)(t.Context(), "https://vuln.example", "src")
		if says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, says)
		}
		assert.Equal(t, checkout+"/src tool -modfile="+checkout+"/tools/govulncheck/go.mod govulncheck -db https://vuln.example ./...\n", out.String())
	}
}
