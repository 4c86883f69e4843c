//go:build !linux

package nodeagent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var errNotLinux = errors.New("the application's pods run only on Linux, where a process can have namespaces; " +
	"use the development container of the repository, or a virtual machine")

// Supported returns an error that says that pods do not run as processes here.
func Supported(context.Context) error { return errNotLinux }

// Enter is the body of the hidden command Command.
func Enter(context.Context, []string) error { return errNotLinux }

// container does not exist on this system.
type container struct {
	began metav1.Time
	done  chan struct{}
}

func (a *Agent) startContainer(context.Context, *plan, string) (*container, error) {
	return nil, errNotLinux
}

func (*container) dial(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
	return nil, errNotLinux
}

func (*container) exec(context.Context, []string) (string, int, error) { return "", 0, errNotLinux }
func (*container) terminate(context.Context)                           {}
func (*container) kill()                                               {}
func (*container) close()                                              {}
func (*container) result() (code int32, reason string)                 { return startError, "" }
func (*container) usage() (time.Duration, uint64, error)               { return 0, 0, errNotLinux }
func (*container) limit() uint64                                       { return 0 }
func (*container) killForMemory()                                      {}
