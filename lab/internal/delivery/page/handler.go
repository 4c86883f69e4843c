package page

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
)

//go:embed assets
var assets embed.FS

// ErrNoObject is what a Source answers for a kind that the page does not show, or an object that
// does not exist.
var ErrNoObject = errors.New("the page shows no such object")

// policy lets the browser load the page's own files, and send requests to it, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	file := func(name, kind string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			content, err := assets.ReadFile("assets/" + name)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(content) // a client that went away hears of nothing
		}
	}
	mux.HandleFunc("/{$}", file("index.html", "text/html; charset=utf-8"))
	mux.HandleFunc("/page.css", file("page.css", "text/css; charset=utf-8"))
	mux.HandleFunc("/page.js", file("page.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("/events", s.stream)
	mux.HandleFunc("/docs/{file}", s.document)
	mux.HandleFunc("/docs/images/{file}", s.picture)
	mux.HandleFunc("/objects/{kind}/{name}", s.object)
	return guarded(mux)
}

// guarded answers GET alone, and only requests for this machine by name: a page of another site,
// whose name was made to lead here, sends its own.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if host != "127.0.0.1" && !strings.EqualFold(host, "localhost") {
			http.Error(w, "this page is at 127.0.0.1 and localhost only", http.StatusMisdirectedRequest)
			return
		}
		if r.Method != http.MethodGet {
			header.Set("Allow", http.MethodGet)
			http.Error(w, "this page only shows; use GET", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// heartbeat is how often something is sent at least, so that a browser notices a lost connection.
const heartbeat = 15 * time.Second

// stream sends the present state, and each later one, as server-sent events.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	states, leave := s.view()
	defer leave()
	flush := http.NewResponseController(w)
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	message := []byte("retry: 1000\n\n")
	for {
		if _, err := w.Write(message); err != nil {
			return
		}
		if err := flush.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.ended:
			return
		case state := <-states:
			message = fmt.Appendf(nil, "event: state\ndata: %s\n\n", state)
		case <-ticker.C:
			message = []byte(": still here\n\n")
		}
	}
}

// text is a page with nothing live in it.
var text = template.Must(template.New("text").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Title}}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css">
</head>
<body class="text">
<nav aria-label="Way back"><a href="/">The flow</a> <span aria-hidden="true">›</span> {{.Title}}</nav>
<main>{{if .Document}}{{.Document}}{{else}}<h1>{{.Title}}</h1>
<p>As the cluster has it now, without managedFields.</p>
<pre tabindex="0">{{.Plain}}</pre>{{end}}</main>
</body>
</html>
`))

type content struct {
	Title    string
	Document template.HTML
	Plain    string
}

func write(w http.ResponseWriter, shown content) {
	var made bytes.Buffer
	if err := text.Execute(&made, shown); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(made.Bytes()) // a client that went away hears of nothing
}

// object shows an object of the cluster.
func (s *Server) object(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	source := s.source
	s.mu.Unlock()
	if source == nil {
		http.Error(w, "Argo CD does not run yet", http.StatusServiceUnavailable)
		return
	}
	kind, name := r.PathValue("kind"), r.PathValue("name")
	found, err := source.Object(r.Context(), kind, name)
	if errors.Is(err, ErrNoObject) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		log.Printf("the lab's page: %v", err)
		http.Error(w, "the cluster does not answer", http.StatusBadGateway)
		return
	}
	write(w, content{Title: kind + "/" + name, Plain: string(found)})
}

// document shows a document of the checkout.
func (s *Server) document(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	source, ok := s.read(w, r, name, ".md")
	if !ok {
		return
	}
	var made bytes.Buffer
	// HTML in the text is left out: what a document says is no part of the page.
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	if err := markdown.Convert(source, &made); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, content{Title: name, Document: template.HTML(made.String())}) //nolint:gosec // goldmark escapes it
}

func (s *Server) picture(w http.ResponseWriter, r *http.Request) {
	if source, ok := s.read(w, r, "images/"+r.PathValue("file"), ".png"); ok {
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(source) // a client that went away hears of nothing
	}
}

// read reads a file in the folder of the documents, and nothing outside of it.
func (s *Server) read(w http.ResponseWriter, r *http.Request, name, extension string) ([]byte, bool) {
	root, err := os.OpenRoot(s.options.Documents)
	if err == nil {
		defer root.Close()
		var source []byte
		if source, err = root.ReadFile(name); err == nil && path.Ext(name) == extension {
			return source, true
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Printf("the lab's page: %v", err)
	}
	http.NotFound(w, r)
	return nil, false
}
