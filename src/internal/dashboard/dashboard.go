// Package dashboard is the page for operators.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"
)

//go:embed page
var files embed.FS

// Page is the page with its style and script in one document. During a canary each request may meet
// another version: parts loaded one by one could come from two of them.
type Page struct {
	document []byte
	tag      string
	policy   string
}

// New puts the page together.
func New() (*Page, error) {
	read := func(name string) ([]byte, error) { return files.ReadFile("page/" + name) }
	document, err := read("index.html")
	if err != nil {
		return nil, fmt.Errorf("the page is not embedded: %w", err)
	}
	hashes := map[string]string{}
	for marker, name := range map[string]string{"/*STYLE*/": "dashboard.css", "/*SCRIPT*/": "dashboard.js"} {
		content, err := read(name)
		if err != nil {
			return nil, fmt.Errorf("the page is not embedded: %w", err)
		}
		if bytes.Count(document, []byte(marker)) != 1 || bytes.Contains(bytes.ToLower(content), []byte("</s")) {
			return nil, fmt.Errorf("%s does not fit into index.html", name)
		}
		document = bytes.Replace(document, []byte(marker), content, 1)
		sum := sha256.Sum256(content)
		hashes[name] = "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	sum := sha256.Sum256(document)
	return &Page{
		document: document,
		tag:      `"` + hex.EncodeToString(sum[:8]) + `"`,
		policy: "default-src 'none'; connect-src 'self'; img-src data:; script-src " + hashes["dashboard.js"] +
			"; style-src " + hashes["dashboard.css"] + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}, nil
}

// ServeHTTP answers with the page, and lets the browser run only the script in it.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", p.policy)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-cache") // ask, and get 304 if it is still the same
	header.Set("ETag", p.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.document))
}
