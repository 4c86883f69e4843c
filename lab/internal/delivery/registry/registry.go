// Package registry is the container registry of a lab, on the loopback interface. Everyone may
// pull; a push requires the token.
package registry

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

// User is the name that goes with the token.
const User = "gridos"

// Options configure a registry.
type Options struct {
	// Dir keeps the layers of images and the log. Tags live as long as the process: the lab's pods
	// pull nothing, and a release pushes its image before it names it in Git.
	Dir string
	// Port of the loopback interface to listen on; 0 takes a free one. It is part of the names of
	// images, so a restarted registry needs the same port again.
	Port int
	// Receiving is called when a push begins, and Pushed with the tag when the image is complete. Both
	// may be nil.
	Receiving func()
	Pushed    func(tag string)
}

// Registry is a running registry.
type Registry struct {
	options Options
	address string
	token   string
	images  http.Handler
	server  *loopback.Server
	end     func() error
}

// Start begins to serve. The caller stops the registry.
func Start(ctx context.Context, options Options) (r *Registry, err error) {
	blobs := filepath.Join(options.Dir, "blobs")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the registry: %w", err)
	}
	logFile, err := os.OpenFile(filepath.Join(options.Dir, "registry.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of the registry: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, logFile.Close())
		}
	}()
	logger := log.New(logFile, "", log.LstdFlags)
	r = &Registry{
		options: options,
		token:   rand.Text(),
		images:  registry.New(registry.Logger(logger), registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs))),
	}
	listener, err := loopback.Listen(ctx, "the registry", options.Port)
	if err != nil {
		return nil, err
	}
	r.address = listener.Address()
	r.server = listener.Serve(http.HandlerFunc(r.answer), logger)
	r.end = func() error { return errors.Join(r.server.Stop(), logFile.Close()) }
	return r, nil
}

// Stop waits for running requests, and ends the registry. Stopping twice is no error.
func (r *Registry) Stop() error {
	if r.end == nil {
		return nil
	}
	end := r.end
	r.end = nil
	return end()
}

// SetAway makes the registry answer only 503 Service Unavailable until it is set back.
func (r *Registry) SetAway(away bool) { r.server.SetAway(away) }

// Address is the beginning of the images' names, host:port.
func (r *Registry) Address() string { return r.address }

// Token is the password for pushing; the name is User. Each start makes a new one.
func (r *Registry) Token() string { return r.token }

func (r *Registry) answer(response http.ResponseWriter, request *http.Request) {
	if request.Method == http.MethodGet || request.Method == http.MethodHead {
		r.images.ServeHTTP(response, request)
		return
	}
	user, password, _ := request.BasicAuth()
	if user != User || subtle.ConstantTimeCompare([]byte(password), []byte(r.token)) != 1 {
		response.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		http.Error(response, "pushing requires the token", http.StatusUnauthorized)
		return
	}
	r.take(response, request)
}

// take takes a part of an image: first the layers, each begun by POST, and at last the manifest
// with the tag, by PUT (opencontainers/distribution-spec v1.1.0 `spec.md`, Pushing).
func (r *Registry) take(response http.ResponseWriter, request *http.Request) {
	folder, tag := path.Split(request.URL.Path)
	if request.Method == http.MethodPost && r.options.Receiving != nil {
		r.options.Receiving()
	}
	answered := &answer{ResponseWriter: response}
	r.images.ServeHTTP(answered, request)
	if request.Method == http.MethodPut && strings.HasSuffix(folder, "/manifests/") && answered.code == http.StatusCreated &&
		r.options.Pushed != nil {
		r.options.Pushed(tag)
	}
}

// answer knows its code.
type answer struct {
	http.ResponseWriter
	code int
}

func (a *answer) WriteHeader(code int) {
	a.code = code
	a.ResponseWriter.WriteHeader(code)
}
