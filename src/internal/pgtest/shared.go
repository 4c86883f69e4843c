package pgtest

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/settings"
)

// Require skips the test with the reason err if a program that it needs is not installed; in CI it
// fails the test instead.
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

// Shared is a server that the tests of a package use together, each with a database of its own. It
// starts when the first of them asks for one.
type Shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Main runs the tests of a package and removes their shared server: the body of TestMain, whose
// result is the exit code.
func (s *Shared) Main(m *testing.M) int {
	code := m.Run()
	if s.server != nil {
		if err := s.server.Remove(); err != nil {
			_, _ = os.Stderr.WriteString("the database server of the tests could not be removed: " + err.Error() + "\n")
			return 1
		}
	}
	return code
}

// Database is an empty database for one test.
func (s *Shared) Database(t testing.TB) settings.Database {
	t.Helper()
	s.once.Do(func() {
		// It outlives this test. Nothing in a test needs to survive a power failure: -F.
		s.server, s.err = New(context.WithoutCancel(t.Context()), "-F")
	})
	if errors.Is(s.err, ErrNoPostgres) {
		Require(t, s.err)
	}
	require.NoError(t, s.err)
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
