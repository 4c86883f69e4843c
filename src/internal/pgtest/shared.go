package pgtest

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/settings"
)

// Require skips the test, saying why, where what it needs is not installed; in CI it fails instead.
func Require(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI has to run this test: %v", err)
	}
	t.Skip("skipped: " + err.Error())
}

// Shared is a server that the tests of a package use together, each with a database of its own.
type Shared struct{ server *Server }

// Main runs the tests of a package and removes their shared server: the body of TestMain, whose result is the exit code.
// Without PostgreSQL the tests run too, and those that ask for a database are skipped.
func (s *Shared) Main(m *testing.M) int {
	var err error
	// Nothing in a test needs to survive a power failure: -F.
	if s.server, err = New(context.Background(), "-F"); err == nil { //nolint:forbidigo // TestMain is the root
		defer s.server.Remove() //nolint:errcheck // a leftover of a temporary folder
	} else if err != ErrNoPostgres { //nolint:errorlint // it is returned as it is
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return m.Run()
}

// Database is an empty database for one test.
func (s *Shared) Database(t testing.TB) settings.Database {
	t.Helper()
	if s.server == nil {
		Require(t, ErrNoPostgres)
	}
	database, err := s.server.Database(t.Context())
	require.NoError(t, err)
	return database
}

// Own is a server for one test, which may stop and start it.
func Own(t testing.TB) *Server {
	t.Helper()
	_, err := Binary("initdb")
	Require(t, err)
	server, err := New(t.Context(), "-F")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })
	return server
}
