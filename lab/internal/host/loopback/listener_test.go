package loopback

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_ConnectionsOfOtherUsersAreClosed(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells whose a connection is")
	}
	for name, c := range map[string]struct {
		// admits has the users that the server admits, as seen by the user who runs this test.
		admits   func(uint64) bool
		answered bool
	}{
		"this user":    {sameUser(os.Getuid()), true},
		"another user": {func(uid uint64) bool { return uid != uint64(os.Getuid()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := Listen(t.Context(), "the test's server", 0)
			require.NoError(t, err)
			require.NotNil(t, listener.admits, "it admits everybody")
			assert.True(t, listener.admits(uint64(os.Getuid())))
			assert.False(t, listener.admits(uint64(os.Getuid())+1))
			listener.admits = c.admits
			served := make(chan error, 1)
			go func() { served <- greet(listener) }()
			connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Address())
			require.NoError(t, err)
			defer connection.Close()
			greeting, err := bufio.NewReader(connection).ReadString('\n')
			if c.answered {
				require.NoError(t, err)
				assert.Equal(t, "hello\n", greeting)
			} else {
				require.Error(t, err)
				assert.Empty(t, greeting)
			}
			require.NoError(t, listener.Close())
			require.ErrorIs(t, <-served, net.ErrClosed)
		})
	}
}

// A test that may run its client as another user does so, instead of giving the server another user
// as above.
func TestUnit_NobodyElseIsGreeted(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("only Linux tells whose a connection is, and only root can be another user")
	}
	listener, err := Listen(t.Context(), "the test's server", 0)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- greet(listener) }()
	_, port, err := net.SplitHostPort(listener.Address())
	require.NoError(t, err)
	heard := func(uid uint32) string {
		command := exec.CommandContext(t.Context(), "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/"+port+"; read -r greeting <&3; echo \"heard $greeting\"")
		command.Dir = "/" // every user may enter this folder
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		text, err := command.Output()
		require.NoError(t, err)
		return string(text)
	}
	const nobody = 65534
	assert.Equal(t, "heard \n", heard(nobody))
	assert.Equal(t, "heard hello\n", heard(0))
	require.NoError(t, listener.Close())
	require.ErrorIs(t, <-served, net.ErrClosed)
}

// greet says hello to each admitted client.
func greet(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		if _, err := io.WriteString(connection, "hello\n"); err != nil {
			return err
		}
		if err := connection.Close(); err != nil {
			return err
		}
	}
}

// Root reads everything anyway, and no other user shares this id.
func TestUnit_ThisUserAndRootAreAdmitted(t *testing.T) {
	t.Parallel()
	admits := sameUser(1000)
	assert.True(t, admits(1000))
	assert.True(t, admits(0))
	assert.False(t, admits(1001))
	assert.False(t, sameUser(0)(1000))
}

// A connection that was closed before the server looked has no user: the kernel would report root.
func TestUnit_WhoIsGoneIsNotAdmitted(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells whose a connection is")
	}
	listener, err := Listen(context.Background(), "the test's server", 0)
	require.NoError(t, err)
	defer listener.Close()
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Address())
	require.NoError(t, err)
	_, err = io.WriteString(connection, "delete everything\n")
	require.NoError(t, err)
	require.NoError(t, connection.Close())
	accepted, err := listener.Listener.Accept()
	require.NoError(t, err)
	defer accepted.Close()
	// The kernel takes a moment to forget the user of the closed end.
	assert.Eventually(t, func() bool {
		_, known := listener.userOf(accepted)
		return !known
	}, 10*time.Second, 10*time.Millisecond)
}
