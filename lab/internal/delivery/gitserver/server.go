// Package gitserver is the Git server of a lab: one repository over HTTP on the loopback interface.
// Every client may read it; a push requires the token. The server announces each push to Argo CD as
// GitHub does.
package gitserver

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi" //nolint:gosec // G504: the attack by a Proxy header concerns Go before 1.6.3
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

const (
	// User is the name that goes with the token.
	User       = "gridos"
	name       = "gridos"
	repository = name + ".git"
	// maxBody bounds a request whose length the client does not announce; git does not when it pushes
	// more than 1 MiB.
	maxBody = 64 << 20
)

// Options configure a server.
type Options struct {
	// Dir keeps the repository, the token and the log. A server that is started with the folder of
	// an earlier one continues with its content.
	Dir string
	// Port of the loopback interface to listen on; 0 takes a free one. Argo CD knows the repository
	// by its address, so a restarted server needs the same port again.
	Port int
	// Branch is the branch with which the repository begins, and that Argo CD follows; main if it
	// is empty.
	Branch string
	// Pushed is called with the commits of each push to the branch, the oldest first. It may be nil.
	Pushed func([]PushedCommit)
	// Delivered is called after each webhook, in the order of the pushes, whether the receiver
	// answered or not. It may be nil.
	Delivered func(Delivery)
}

// PushedCommit is a commit of a push, with the paths that it changed.
type PushedCommit struct {
	ID, Message string
	Files       []string
}

// Server is a running server.
type Server struct {
	options Options
	git     git
	token   string
	address string
	log     *log.Logger
	server  *loopback.Server
	end     func() error

	pushing sync.Mutex // held while a push changes branches, so that the changes are known to come from that push
	notices chan notice
	running context.Context

	mu   sync.Mutex
	hook webhook
}

// Start begins to serve. The caller stops the server.
func Start(ctx context.Context, options Options) (*Server, error) {
	options.Branch = cmp.Or(options.Branch, "main")
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the Git server: %w", err)
	}
	g, err := findGit(ctx, filepath.Join(options.Dir, "home"))
	if err != nil {
		return nil, err
	}
	s := &Server{options: options, git: g, notices: make(chan notice, mostDue)}
	if s.token, err = token(filepath.Join(options.Dir, "token")); err != nil {
		return nil, err
	}
	// This command does no harm to an existing repository.
	_, err = g.run(ctx, options.Dir, nil, "init", "--quiet", "--bare", "--template=", "--initial-branch="+options.Branch, repository)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(options.Dir, "git.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of the Git server: %w", err)
	}
	listener, err := loopback.Listen(ctx, "the Git server", options.Port)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.address, s.log, s.running = listener.Address(), log.New(file, "", log.LstdFlags), running
	s.server = listener.Serve(http.HandlerFunc(s.answer), s.log)
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		s.deliver(running)
	}()
	s.end = func() error {
		stopped := s.server.Stop()
		cancel()
		<-delivered
		return errors.Join(stopped, file.Close())
	}
	return s, nil
}

// Stop waits for running pushes, and ends the server. It drops webhooks that are still due.
// Stopping twice is no error.
func (s *Server) Stop() error {
	if s.end == nil {
		return nil
	}
	end := s.end
	s.end = nil
	return end()
}

// SetAway makes the server answer only 503 Service Unavailable until it is set back.
func (s *Server) SetAway(away bool) { s.server.SetAway(away) }

// URL is the repository's address, for Argo CD and for `git clone`.
func (s *Server) URL() string { return s.page() + ".git" }

// page is the address that the repository's web page would have.
func (s *Server) page() string { return "http://" + s.address + "/" + name }

// Token is the password for pushing; the name is User.
func (s *Server) Token() string { return s.token }

// Head returns the commit of the branch, or "" in a repository without commits.
func (s *Server) Head(ctx context.Context) (string, error) {
	at, err := s.branches(ctx)
	return at["refs/heads/"+s.options.Branch], err
}

func (s *Server) dir() string { return filepath.Join(s.options.Dir, repository) }

// branches returns the commit of each branch, by the branches' full names.
func (s *Server) branches(ctx context.Context) (map[string]string, error) {
	listed, err := s.git.run(ctx, s.dir(), nil, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/")
	if err != nil {
		return nil, err
	}
	at := map[string]string{}
	for line := range strings.Lines(listed) {
		commit, branch, _ := strings.Cut(strings.TrimSpace(line), " ")
		at[branch] = commit
	}
	return at, nil
}

func (s *Server) answer(response http.ResponseWriter, request *http.Request) {
	if !strings.HasPrefix(request.URL.Path, "/"+repository+"/") {
		http.Error(response, "there is one repository only: "+s.URL(), http.StatusNotFound)
		return
	}
	sends := strings.HasSuffix(request.URL.Path, "/git-receive-pack")
	pushes := sends || request.URL.Query().Get("service") == "git-receive-pack"
	user, password, _ := request.BasicAuth()
	authorized := user == User && subtle.ConstantTimeCompare([]byte(password), []byte(s.token)) == 1
	if pushes && !authorized {
		response.Header().Set("WWW-Authenticate", `Basic realm="`+name+`"`)
		http.Error(response, "only who shows the token may push", http.StatusUnauthorized)
		return
	}
	request = request.Clone(request.Context())
	request.Header.Del("Authorization") // it would get into the environment of the process
	if request.ContentLength < 0 {
		// CGI has no way to say that the length is unknown.
		body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, maxBody))
		if err != nil {
			http.Error(response, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		request.Body, request.ContentLength, request.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	}
	backend := &cgi.Handler{
		Path: s.git.path, Args: []string{"http-backend"}, Dir: s.options.Dir, Logger: s.log, Stderr: s.log.Writer(),
		Env: append(s.git.environment(), "GIT_PROJECT_ROOT="+s.options.Dir, "GIT_HTTP_EXPORT_ALL=1"),
	}
	if authorized {
		backend.Env = append(backend.Env, "REMOTE_USER="+User) // git accepts pushes from signed-in users only
	}
	if !sends {
		backend.ServeHTTP(response, request)
		return
	}
	if err := s.push(request.Context(), func() { backend.ServeHTTP(response, request) }); err != nil {
		s.log.Printf("a push cannot be announced: %v", err)
	}
}

// push carries out the push, and queues the webhooks for the changed branches.
func (s *Server) push(ctx context.Context, take func()) error {
	ctx = context.WithoutCancel(ctx) // git may have changed the branches although the client has gone
	s.pushing.Lock()
	defer s.pushing.Unlock()
	before, err := s.branches(ctx)
	take()
	if err != nil {
		return err
	}
	after, err := s.branches(ctx)
	if err != nil {
		return err
	}
	return s.announce(ctx, before, after)
}

// token reads the token in a file, or makes one and writes the file.
func token(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err == nil && len(content) > 0 {
		return string(content), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the token of the Git server: %w", err)
	}
	made := rand.Text()
	if err := os.WriteFile(file, []byte(made), 0o600); err != nil {
		return "", fmt.Errorf("keep the token of the Git server: %w", err)
	}
	return made, nil
}
