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
)

// stopTimeout is how long running requests may take to end when the server stops.
const stopTimeout = 10 * time.Second

// Server is a running server.
type Server struct {
	name   string
	server *http.Server
	served chan error
	away   atomic.Bool

	mu       sync.Mutex
	stopping bool
	unused   map[net.Conn]bool // connections without any request yet
}

// Serve begins to answer. The caller stops the server.
func (l *Listener) Serve(handler http.Handler, problems *log.Logger) *Server {
	s := &Server{name: l.name, served: make(chan error, 1), unused: map[net.Conn]bool{}}
	s.server = &http.Server{Handler: s.unlessAway(handler), ReadHeaderTimeout: 10 * time.Second, ErrorLog: problems, ConnState: s.note}
	go func() { s.served <- s.server.Serve(l) }()
	return s
}

// SetAway makes the server answer every request with 503 Service Unavailable, as a load balancer
// does whose service is down, until it is set back.
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

// note records the unused connections. Shutdown would wait five seconds for a request on each, and
// clients open more connections than they need.
func (s *Server) note(connection net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(s.unused, connection)
	case s.stopping:
		_ = connection.Close() // no request has arrived on it
	default:
		s.unused[connection] = true
	}
}

// Stop lets running requests end, and ends the server. Stopping twice is no error.
func (s *Server) Stop() error {
	s.mu.Lock()
	again := s.stopping
	s.stopping = true
	for connection := range s.unused {
		_ = connection.Close() // no request has arrived on it
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
