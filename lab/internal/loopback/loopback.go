// Package loopback serves HTTP to this machine alone.
package loopback

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/process"
)

// stopTimeout is how long requests that run may take to end when the server stops.
const stopTimeout = 10 * time.Second

// Listener has its address and does not answer yet.
type Listener struct {
	name     string
	listener net.Listener
}

// Server is a running one.
type Server struct {
	name   string
	server *http.Server
	served chan error
	away   atomic.Bool

	mu       sync.Mutex
	stopping bool
	unused   map[net.Conn]bool // connections on which there was no request yet
}

// Listen takes a port of the loopback interface; 0 is a free one. Errors call the server by its name.
func Listen(ctx context.Context, name string, port int) (*Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", process.HostPort(port))
	if err != nil {
		return nil, fmt.Errorf("%s cannot listen on %s (%w); stop what does", name, process.HostPort(port), err)
	}
	return &Listener{name, listener}, nil
}

// Address is where it listens, host:port.
func (l *Listener) Address() string { return l.listener.Addr().String() }

// Serve begins to answer. The caller stops the server.
func (l *Listener) Serve(handler http.Handler, problems *log.Logger) *Server {
	s := &Server{name: l.name, served: make(chan error, 1), unused: map[net.Conn]bool{}}
	s.server = &http.Server{Handler: s.unlessAway(handler), ReadHeaderTimeout: 10 * time.Second, ErrorLog: problems, ConnState: s.note}
	go func() { s.served <- s.server.Serve(l.listener) }()
	return s
}

// SetAway has every request answered with 503 Service Unavailable, as by a load balancer whose service is down, until it is set back.
func (s *Server) SetAway(away bool) { s.away.Store(away) }

func (s *Server) unlessAway(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.away.Load() {
			http.Error(w, s.name+" is away", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// note keeps the unused connections. Shutdown would wait five seconds for a request on each, and clients open more connections than
// they need.
func (s *Server) note(connection net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(s.unused, connection)
	case s.stopping:
		_ = connection.Close() // nobody has said anything on it
	default:
		s.unused[connection] = true
	}
}

// Stop lets requests that run end, and ends the server. Stopping twice is no error.
func (s *Server) Stop() error {
	s.mu.Lock()
	again := s.stopping
	s.stopping = true
	for connection := range s.unused {
		_ = connection.Close() // nobody has said anything on it
	}
	s.mu.Unlock()
	if again {
		return nil
	}
	ending, cancel := context.WithTimeout(context.Background(), stopTimeout) //nolint:forbidigo // stopping is bounded, and not cancelled
	defer cancel()
	problem := s.server.Shutdown(ending)
	if problem != nil {
		problem = errors.Join(problem, s.server.Close())
	}
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		problem = errors.Join(problem, err)
	}
	if problem != nil {
		return fmt.Errorf("stop %s: %w", s.name, problem)
	}
	return nil
}
