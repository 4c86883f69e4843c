package fieldgateway_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/delivery/fieldgateway"
)

// The service does not answer at once, and the key vault gets another token now and then.
func TestUnit_TheFieldGatewayTriesAgainAndShowsThePresentToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, calls := filepath.Join(dir, "program"), filepath.Join(dir, "calls")
	script := "#!/bin/sh\necho \"$1 $2 $3 $(cat \"$5\")\" >>'" + calls + "'\nexit 1\n"
	require.NoError(t, os.WriteFile(program, []byte(script), 0o700))
	var token atomic.Value
	token.Store("")
	var silent atomic.Bool
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- fieldgateway.Run(ctx, fieldgateway.Options{
			Dir: filepath.Join(dir, "fieldgateway"), Program: program, URL: "http://127.0.0.1:1",
			Token: func() (string, error) { return token.Load().(string), nil }, Silent: silent.Load,
		})
	}()
	called := func() string {
		text, err := os.ReadFile(calls)
		if !os.IsNotExist(err) {
			require.NoError(t, err)
		}
		return string(text)
	}
	assert.Never(t, func() bool { return called() != "" }, 3*time.Second, 100*time.Millisecond, "it sends nothing without a token")
	token.Store("first")
	require.Eventually(t, func() bool { return strings.Contains(called(), "demo -url http://127.0.0.1:1 first\n") }, 20*time.Second, 50*time.Millisecond)
	token.Store("second")
	require.Eventually(t, func() bool { return strings.HasSuffix(called(), " second\n") }, 20*time.Second, 50*time.Millisecond)
	silent.Store(true)
	require.Eventually(t, func() bool { // a call that had begun may end
		before := called()
		time.Sleep(3 * time.Second)
		return called() == before
	}, 20*time.Second, 50*time.Millisecond, "it sends nothing while it is silent")
	silent.Store(false)
	before := called()
	require.Eventually(t, func() bool { return len(called()) > len(before) }, 20*time.Second, 50*time.Millisecond)
	info, err := os.Stat(filepath.Join(dir, "fieldgateway", "token"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	stop()
	require.NoError(t, <-done)
}
