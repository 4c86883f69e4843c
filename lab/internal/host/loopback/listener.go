package loopback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/prometheus/procfs"

	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// Listener has its address and does not answer yet. Every user of a machine reaches the loopback
// interface, so it closes the connections of other users before they have sent anything. Systems
// without Linux's table of sockets cannot tell the user, and admit all.
type Listener struct {
	net.Listener
	name    string
	sockets procfs.FS
	// admits reports whether a user may connect; nil admits all.
	admits func(uid uint64) bool
}

// Listen listens on a port of the loopback interface; 0 is a free one. Errors name the server by
// name.
func Listen(ctx context.Context, name string, port int) (*Listener, error) {
	tcp, err := new(net.ListenConfig).Listen(ctx, "tcp4", process.HostPort(port))
	if err != nil {
		return nil, fmt.Errorf("%s cannot listen on %s (%w); stop what does", name, process.HostPort(port), err)
	}
	l := &Listener{Listener: tcp, name: name}
	if runtime.GOOS != "linux" {
		return l, nil
	}
	if l.sockets, err = procfs.NewDefaultFS(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s cannot tell whose connections are whose: %w", name, err), tcp.Close())
	}
	l.admits = sameUser(os.Getuid())
	return l, nil
}

// Address is the address on which it listens, host:port.
func (l *Listener) Address() string { return l.Addr().String() }

// established is a connection that both ends keep open: TCP_ESTABLISHED in the kernel's
// include/net/tcp_states.h.
const established = 1

// sameUser admits a user and root, who can read everything anyway.
func sameUser(uid int) func(uint64) bool {
	return func(other uint64) bool { return other == 0 || other == uint64(uid) }
}

// Accept waits for the next connection of an admitted user.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		connection, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.admits == nil {
			return connection, nil
		}
		if uid, known := l.userOf(connection); known && l.admits(uid) {
			return connection, nil
		}
		_ = connection.Close() // no client is there to read an answer
	}
}

// userOf finds the user of the socket at the other end of a connection. A connection that is closed
// already has no user.
func (l *Listener) userOf(connection net.Conn) (uid uint64, known bool) {
	theirs, ok := connection.RemoteAddr().(*net.TCPAddr)
	ours, okToo := connection.LocalAddr().(*net.TCPAddr)
	if !ok || !okToo {
		return 0, false
	}
	for _, read := range []func() (procfs.NetTCP, error){l.sockets.NetTCP, l.sockets.NetTCP6} { // a socket of IPv6 may use IPv4
		sockets, err := read()
		if err != nil {
			continue // a kernel without IPv6
		}
		for _, s := range sockets {
			// The kernel reports root as the user of a socket that its process has closed.
			if s.St == established && s.LocalAddr.Equal(theirs.IP) && s.RemAddr.Equal(ours.IP) &&
				s.LocalPort == uint64(theirs.Port) && s.RemPort == uint64(ours.Port) {
				return s.UID, true
			}
		}
	}
	return 0, false
}
