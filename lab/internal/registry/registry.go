// Package registry is the container registry of a lab, on the loopback interface: everybody may pull from it, and who knows the token
// may push.
package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/gridos/sharedinfra/lab/internal/loopback"
)

const (
	// User is the name that goes with the token.
	User = "gridos"

	maxManifest = 4 << 20 // what registries take
)

// Options say how a registry is to be.
type Options struct {
	// Dir keeps the images and the log. A registry that is started with the folder of an earlier one has all that it had.
	Dir string
	// Port of the loopback interface to listen on; 0 takes a free one. It is part of the names of images: a registry that is to
	// come back needs the same port again.
	Port int
}

// Registry is a running one.
type Registry struct {
	address string
	token   string
	images  http.Handler
	server  *loopback.Server
	end     func() error

	mu      sync.Mutex // held while the journal is written, so that it has the order in which manifests came
	journal *os.File
}

// change is a line of the journal: a request that changed which manifests there are.
type change struct {
	Method, Path, ContentType string
	Body                      []byte
}

// Start begins to serve. The caller stops it.
func Start(ctx context.Context, options Options) (r *Registry, err error) {
	blobs := filepath.Join(options.Dir, "blobs")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the registry: %w", err)
	}
	var files []io.Closer
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(files))
		}
	}()
	logFile, err := os.OpenFile(filepath.Join(options.Dir, "registry.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of the registry: %w", err)
	}
	files = append(files, logFile)
	logger := log.New(logFile, "", log.LstdFlags)
	r = &Registry{
		token:  rand.Text(),
		images: registry.New(registry.Logger(logger), registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs))),
	}
	if r.journal, err = os.OpenFile(filepath.Join(options.Dir, "manifests"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return nil, fmt.Errorf("open the manifests of the registry: %w", err)
	}
	files = append(files, r.journal)
	if err := r.replay(ctx); err != nil {
		return nil, fmt.Errorf("read the manifests in %s, remove the folder to begin anew: %w", options.Dir, err)
	}
	listener, err := loopback.Listen(ctx, "the registry", options.Port)
	if err != nil {
		return nil, err
	}
	r.address = listener.Address()
	r.server = listener.Serve(http.HandlerFunc(r.answer), logger)
	r.end = func() error { return errors.Join(r.server.Stop(), closeAll(files)) }
	return r, nil
}

func closeAll(files []io.Closer) error {
	var problem error
	for _, file := range files {
		problem = errors.Join(problem, file.Close())
	}
	return problem
}

// Stop waits for requests that run, and ends the registry. Stopping twice is no error.
func (r *Registry) Stop() error {
	if r.end == nil {
		return nil
	}
	end := r.end
	r.end = nil
	return end()
}

// SetAway has the registry answer nothing but 503 Service Unavailable until it is set back.
func (r *Registry) SetAway(away bool) { r.server.SetAway(away) }

// Address is what names of images begin with, host:port.
func (r *Registry) Address() string { return r.address }

// Token is the password, with User, of those who may push. It is another one after each start.
func (r *Registry) Token() string { return r.token }

// Tags lists the tags of a repository, such as gridos, in alphabetical order. One that nothing was pushed to has none.
func (r *Registry) Tags(ctx context.Context, repository string) ([]string, error) {
	where, err := name.NewRepository(r.address + "/" + repository)
	if err != nil {
		return nil, fmt.Errorf("tags of %s: %w", repository, err)
	}
	tags, err := remote.List(where, remote.WithContext(ctx))
	if refused := (*transport.Error)(nil); errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("tags of %s: %w", repository, err)
	}
	return tags, nil
}

func (r *Registry) answer(response http.ResponseWriter, request *http.Request) {
	if request.Method == http.MethodGet || request.Method == http.MethodHead {
		r.images.ServeHTTP(response, request)
		return
	}
	user, password, _ := request.BasicAuth()
	if user != User || subtle.ConstantTimeCompare([]byte(password), []byte(r.token)) != 1 {
		response.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		http.Error(response, "only who shows the token may push", http.StatusUnauthorized)
		return
	}
	if !strings.Contains(request.URL.Path, "/manifests/") {
		r.images.ServeHTTP(response, request)
		return
	}
	if err := r.keep(response, request); err != nil {
		// The pusher must not take it for kept. What is in memory is gone with the process.
		http.Error(response, err.Error(), http.StatusInternalServerError)
	}
}

// keep has a manifest change and writes that down: the library keeps manifests in memory only.
func (r *Registry) keep(response http.ResponseWriter, request *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, maxManifest))
	if err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	answer := &held{header: http.Header{}, status: http.StatusOK}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.images.ServeHTTP(answer, request)
	if answer.status < http.StatusMultipleChoices {
		line, err := json.Marshal(change{request.Method, request.URL.Path, request.Header.Get("Content-Type"), body})
		if err != nil {
			return fmt.Errorf("note the manifest: %w", err)
		}
		end, err := r.journal.Seek(0, io.SeekEnd)
		if err != nil {
			return fmt.Errorf("keep the manifest: %w", err)
		}
		if _, err := r.journal.Write(append(line, '\n')); err != nil { // such as on a full disk: nothing is to follow half a line
			return errors.Join(fmt.Errorf("keep the manifest: %w", err), r.journal.Truncate(end))
		}
	}
	return answer.send(response)
}

// replay has the manifests change as they did.
func (r *Registry) replay(ctx context.Context) error {
	journal := json.NewDecoder(r.journal)
	for {
		whole := journal.InputOffset()
		var c change
		switch err := journal.Decode(&c); {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF): // cut short by a kill, so that who pushed it has no answer
			return r.journal.Truncate(whole)
		case err != nil:
			return err
		}
		request, err := http.NewRequestWithContext(ctx, c.Method, c.Path, bytes.NewReader(c.Body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", c.ContentType)
		answer := &held{header: http.Header{}, status: http.StatusOK}
		r.images.ServeHTTP(answer, request)
		if answer.status >= http.StatusMultipleChoices {
			return fmt.Errorf("%s %s is refused now: %s", c.Method, c.Path, answer.body.String())
		}
	}
}

// held is an answer that is not sent yet.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header               { return h.header }
func (h *held) WriteHeader(status int)            { h.status = status }
func (h *held) Write(content []byte) (int, error) { return h.body.Write(content) }

func (h *held) send(response http.ResponseWriter) error {
	for name, values := range h.header {
		response.Header()[name] = values
	}
	response.WriteHeader(h.status)
	_, err := h.body.WriteTo(response)
	return err
}
