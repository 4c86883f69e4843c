package toolchain

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// upstream is a download site on loopback. It serves one file by any name, and answer, if it is
// set, decides how.
type upstream struct {
	*httptest.Server
	content []byte
	answer  func(w http.ResponseWriter, r *http.Request, number int)
	count   atomic.Int32
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number := int(u.count.Add(1))
		if u.answer != nil {
			u.answer(w, r, number)
			return
		}
		u.serve(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

// serve answers as a site does, requests for a part of the file included.
func (u *upstream) serve(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(u.content))
}

func (u *upstream) requests() int { return int(u.count.Load()) }

// program makes the site serve a program that prints a version, and returns its archive.
func (u *upstream) program(version string) archive {
	return u.file("/fake-"+version, []byte("#!/bin/sh\necho fake version "+version+"\n"))
}

func (u *upstream) file(path string, content []byte) archive {
	u.content = content
	sum := sha256.Sum256(content)
	return archive{URL: u.URL + path, Sum: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(content))}
}

// pin writes the archive of the fake tool into the file of checksums.
func (b *bench) pin(t *testing.T, a archive) {
	t.Helper()
	b.downloader = quick()
	b.write(t, filepath.Join(b.ToolsDir, sumsFile), fmt.Sprintf(
		"tools: [{tool: fake, version: 1.2.3, archives: {%s: {url: %q, member: %q, sum: %q, size: %d}}}]\n",
		platform(), a.URL, a.Member, a.Sum, a.Size), 0o600)
}

// quick is the downloader for the internet, less patient.
func quick() *downloader {
	d := newDownloader()
	d.stall, d.pause = 300*time.Millisecond, time.Millisecond
	return d
}

// get downloads an archive into a folder, and returns what is in the file then.
func get(t *testing.T, a archive) (content string, path string, err error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "part")
	err = quick().get(t.Context(), a, path, func(int64, int64) {})
	text, readErr := os.ReadFile(path)
	if readErr != nil && !os.IsNotExist(readErr) {
		require.NoError(t, readErr)
	}
	return string(text), path, err
}

func TestUnit_AWrongChecksumIsRefusedAndNothingIsKept(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", []byte("what was reviewed"))
	u.content = []byte("what was attacked")
	_, path, err := get(t, a)
	require.ErrorContains(t, err, u.URL+"/tool: the 17 bytes that came have the checksum sha256:")
	require.ErrorContains(t, err, sumsFile+" says "+a.Sum+"; they were deleted")
	assert.NoFileExists(t, path)

	// Not even an archive that lies in the cache already, as its first bytes.
	require.NoError(t, os.WriteFile(path, []byte("what was attacked"), 0o600))
	require.ErrorContains(t, quick().get(t.Context(), a, path, func(int64, int64) {}), "have the checksum")
	assert.NoFileExists(t, path)

	b := newBench(t)
	b.pin(t, a)
	b.DownloadOnly = true
	_, err = b.Resolve(t.Context(), "fake")
	require.ErrorContains(t, err, "have the checksum")
	assert.Equal(t, []string{".lock-downloads"}, left(t, b.CacheDir))
}

func left(t *testing.T, cache string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(cache, "tools"))
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestUnit_ABrokenDownloadGoesOnWhereItEnded(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", bytes.Repeat([]byte("0123456789"), 100_000))
	var ranges []string
	u.answer = func(w http.ResponseWriter, r *http.Request, number int) {
		ranges = append(ranges, r.Header.Get("Range"))
		if number <= 2 {
			w = &cut{ResponseWriter: w, left: 300_000}
		}
		u.serve(w, r)
	}
	content, _, err := get(t, a)
	require.NoError(t, err)
	assert.Equal(t, string(u.content), content)
	assert.Equal(t, []string{"", "bytes=300000-", "bytes=600000-"}, ranges)
}

// cut breaks the connection after so many bytes.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	if _, err := c.ResponseWriter.Write(p[:n]); err != nil {
		return 0, err
	}
	if c.left == 0 {
		if flusher, ok := c.ResponseWriter.(http.Flusher); ok {
			flusher.Flush()
		}
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

// A site that does not know parts sends the whole file again.
func TestUnit_ASiteWithoutPartsBeginsAgain(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", bytes.Repeat([]byte("0123456789"), 100_000))
	u.answer = func(w http.ResponseWriter, _ *http.Request, number int) {
		w.Header().Set("Content-Length", fmt.Sprint(len(u.content)))
		if number == 1 {
			w = &cut{ResponseWriter: w, left: 300_000}
		}
		_, _ = w.Write(u.content)
	}
	content, _, err := get(t, a)
	require.NoError(t, err)
	assert.Equal(t, string(u.content), content)
}

func TestUnit_HalfAFileIsNeverUsed(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", bytes.Repeat([]byte("0123456789"), 100_000))
	// It ends the answer as if it were whole, and has no more: with and without a known size.
	u.answer = func(w http.ResponseWriter, _ *http.Request, _ int) { _, _ = w.Write(u.content[:1000]) }
	_, _, err := get(t, a)
	require.ErrorContains(t, err, "unexpected EOF")
	assert.Equal(t, attempts, u.requests())

	a.Size = 0
	_, path, err := get(t, a)
	require.ErrorContains(t, err, "the 1000 bytes that came have the checksum")
	assert.NoFileExists(t, path)
}

func TestUnit_WhatAKilledLabHasLeftIsUsedOnlyIfItIsTheBeginning(t *testing.T) {
	for name, part := range map[string]string{
		"the beginning": "0123", "other bytes": "abcd", "more than all": "0123456789abc", "all": "0123456789",
	} {
		for _, size := range []int64{10, 0} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				u := newUpstream(t)
				a := u.file("/tool", []byte("0123456789"))
				a.Size = size
				path := filepath.Join(t.TempDir(), "part")
				require.NoError(t, os.WriteFile(path, []byte(part), 0o600))
				require.NoError(t, quick().get(t.Context(), a, path, func(int64, int64) {}))
				content, err := os.ReadFile(path)
				require.NoError(t, err)
				assert.Equal(t, "0123456789", string(content))
			})
		}
	}
}

func TestUnit_AMissingFileIsAskedForOnce(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", []byte("content"))
	u.answer = func(w http.ResponseWriter, r *http.Request, _ int) { http.NotFound(w, r) }
	_, _, err := get(t, a)
	require.EqualError(t, err, u.URL+"/tool: the server answers 404 Not Found")
	assert.Equal(t, 1, u.requests())
}

func TestUnit_ABusySiteIsAskedAgain(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", []byte("content"))
	u.answer = func(w http.ResponseWriter, r *http.Request, number int) {
		switch number {
		case 1:
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		default:
			u.serve(w, r)
		}
	}
	content, _, err := get(t, a)
	require.NoError(t, err)
	assert.Equal(t, "content", content)
}

func TestUnit_ASiteThatStallsIsLeft(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", bytes.Repeat([]byte("0123456789"), 10_000))
	u.answer = func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Content-Length", fmt.Sprint(len(u.content)))
		_, _ = w.Write(u.content[:10])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	began := time.Now()
	_, _, err := get(t, a)
	require.ErrorIs(t, err, errStalled)
	require.ErrorContains(t, err, u.URL+"/tool: no more bytes came for 300ms")
	assert.Less(t, time.Since(began), 20*time.Second)
}

// A slow site is not one that stalls: what counts is the time since the last byte.
func TestUnit_ASlowSiteIsWaitedFor(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", []byte("0123456789"))
	u.answer = func(w http.ResponseWriter, _ *http.Request, _ int) {
		for i := range u.content {
			_, _ = w.Write(u.content[i : i+1])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(60 * time.Millisecond) // together twice what a stall may last
		}
	}
	content, _, err := get(t, a)
	require.NoError(t, err)
	assert.Equal(t, "0123456789", content)
	assert.Equal(t, 1, u.requests())
}

func TestUnit_AnEndlessAnswerFillsNoDisk(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", []byte("0123456789"))
	u.answer = func(w http.ResponseWriter, _ *http.Request, _ int) {
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}
	_, path, err := get(t, a)
	require.ErrorContains(t, err, "it has more than the 10 bytes of "+sumsFile)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Zero(t, info.Size())
}

func TestUnit_ARedirectionIsFollowed(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", []byte("content"))
	front := httptest.NewServer(http.RedirectHandler(a.URL, http.StatusFound))
	t.Cleanup(front.Close)
	a.URL = front.URL + "/release/tool"
	content, _, err := get(t, a)
	require.NoError(t, err)
	assert.Equal(t, "content", content)
}

// proxyHelper makes the test binary download once, as a process whose environment names the proxy.
const proxyHelper = "GRIDOS_TEST_PROXY_ARCHIVE"

func TestUnit_TheProxyOfTheEnvironmentIsUsed(t *testing.T) {
	if address := os.Getenv(proxyHelper); address != "" {
		u := &upstream{Server: &httptest.Server{URL: address}}
		_, _, err := get(t, u.file("/tool", []byte("content")))
		require.NoError(t, err)
		return
	}
	var asked atomic.Pointer[url.URL]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL)
		_, _ = io.WriteString(w, "content")
	}))
	t.Cleanup(proxy.Close)
	// Go asks for no proxy on the way to loopback, and reads the environment once in a process.
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUnit_TheProxyOfTheEnvironmentIsUsed$")
	cmd.Env = append(os.Environ(), "HTTP_PROXY="+proxy.URL, "NO_PROXY=", "no_proxy=", proxyHelper+"=http://upstream.invalid")
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	require.NotNil(t, asked.Load())
	assert.Equal(t, "http://upstream.invalid/tool", asked.Load().String())
}

func TestUnit_ACancelledDownloadEnds(t *testing.T) {
	u := newUpstream(t)
	a := u.file("/tool", []byte("content"))
	ctx, cancel := context.WithCancel(t.Context())
	u.answer = func(_ http.ResponseWriter, r *http.Request, _ int) {
		cancel()
		<-r.Context().Done()
	}
	err := quick().get(ctx, a, filepath.Join(t.TempDir(), "part"), func(int64, int64) {})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, u.requests())
}

// tarOf makes an archive; a content that begins with "-> " is a link to what follows.
func tarOf(t *testing.T, members ...[2]string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	w := tar.NewWriter(zipped)
	for _, m := range members {
		header := &tar.Header{Name: m[0], Mode: 0o755, Size: int64(len(m[1]))}
		if to, ok := strings.CutPrefix(m[1], "-> "); ok {
			header.Typeflag, header.Linkname, header.Size = tar.TypeSymlink, to, 0
		}
		require.NoError(t, w.WriteHeader(header))
		if header.Size > 0 {
			_, err := io.WriteString(w, m[1])
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	return buffer.Bytes()
}

func TestUnit_TheProgramIsTakenOutOfItsArchive(t *testing.T) {
	const script = "#!/bin/sh\necho 1.2.3\n"
	for name, c := range map[string]struct {
		path    string
		content []byte
		wrong   string
	}{
		"tar":             {"/fake.tar.gz", tarOf(t, [2]string{"./dist/README", "x"}, [2]string{"./dist/fake", script}), ""},
		"without it":      {"/fake.tar.gz", tarOf(t, [2]string{"dist/other", script}), "the archive has no dist/fake"},
		"a link":          {"/fake.tar.gz", tarOf(t, [2]string{"dist/fake", "-> /bin/sh"}), "dist/fake in it is not an ordinary file"},
		"a folder":        {"/fake.tar.gz", tarOf(t, [2]string{"dist/fake/", ""}), "dist/fake in it is not an ordinary file"},
		"no archive":      {"/fake.tar.gz", []byte("<html>"), "unexpected EOF"},
		"paths out of it": {"/fake.tar.gz", tarOf(t, [2]string{"../../x", "x"}, [2]string{"/etc/x", "x"}, [2]string{"dist/fake", script}), ""},
		"another version": {"/fake.tar.gz", tarOf(t, [2]string{"dist/fake", "#!/bin/sh\necho 1.9.0\n"}), "it is version 1.9.0"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.DownloadOnly = true
			u := newUpstream(t)
			a := u.file(c.path, c.content)
			a.Member = "dist/fake"
			b.pin(t, a)
			paths, err := b.Resolve(t.Context(), "fake")
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				assert.Equal(t, []string{".lock-downloads"}, left(t, b.CacheDir))
				return
			}
			require.NoError(t, err)
			content, err := os.ReadFile(paths["fake"])
			require.NoError(t, err)
			assert.Equal(t, script, string(content))
			assert.Equal(t, []string{".lock-downloads", "fake-" + a.key()}, left(t, b.CacheDir), "nothing else is unpacked")
			entries, err := os.ReadDir(b.CacheDir)
			require.NoError(t, err)
			assert.Len(t, entries, 1)
		})
	}
}

// A pin that was moved without its checksum is no reason to use the old archive.
func TestUnit_AStaleOrMissingChecksumIsSaidAndTheToolIsBuilt(t *testing.T) {
	for name, c := range map[string]struct{ file, why string }{
		"stale":    {"tools: [{tool: fake, version: 1.2.2, archives: {}}]", "has the checksum of version 1.2.2"},
		"missing":  {"tools: [{tool: fake, version: 1.2.3, archives: {" + platform() + ": {url: x}}}]", "has no checksum of it for "},
		"platform": {"tools: [{tool: fake, version: 1.2.3, archives: {plan9/mips: {url: x}}}]", "has no archive of it for " + platform()},
		"unknown":  {"tools: []", "has no archive of it"},
		"mistyped": {"tools: [{tool: fake, version: 1.2.3, archives: {plan9/mips: {url: x, sum: md5:00}}}]", `sum is "md5:00"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.write(t, filepath.Join(b.ToolsDir, sumsFile), c.file, 0o600)
			b.DownloadOnly = true
			_, err := b.Resolve(t.Context(), "fake")
			require.ErrorContains(t, err, "no fake 1.2.3: ")
			require.ErrorContains(t, err, c.why)
			b.DownloadOnly = false
			b.resolve(t)
			assert.Contains(t, b.out.String(), "fake 1.2.3: done  built")
		})
	}
}

func TestUnit_DownloadOnlyNamesAllThatCannotBeHad(t *testing.T) {
	b := newBench(t)
	b.catalogue = append(b.catalogue, b.catalogue[0])
	b.catalogue[1].Name = "second"
	b.DownloadOnly = true
	_, err := b.Resolve(t.Context(), "fake", "second")
	require.ErrorContains(t, err, "no fake 1.2.3: it is not on PATH; not downloaded: "+sumsFile+" has no archive of it")
	require.ErrorContains(t, err, "no second 1.2.3: ")
	assert.NotContains(t, b.out.String(), "built")
}

func TestUnit_TheBundleHasEveryBuildOfThePins(t *testing.T) {
	b := newBench(t)
	b.catalogue = append(b.catalogue, b.catalogue[0])
	b.catalogue[1].Name = "second"
	b.script(t, filepath.Join(b.pathDir, "fake"), "1.2.3") // an installed copy is not put into it
	var bundle, again bytes.Buffer
	require.NoError(t, b.Bundle(t.Context(), &bundle, "fake", "second"))
	require.NoError(t, b.Bundle(t.Context(), &again, "fake", "second"))
	assert.Equal(t, bundle.Bytes(), again.Bytes(), "the same builds give the same bytes")
	require.NoError(t, os.Remove(filepath.Join(b.pathDir, "fake")))

	u := newUpstream(t)
	a := u.file("/tools.tar.gz", bundle.Bytes())
	b.downloader, b.DownloadOnly = quick(), true
	b.write(t, filepath.Join(b.ToolsDir, sumsFile), fmt.Sprintf("bundle: {%s: {url: %q, sum: %q}}", platform(), a.URL, a.Sum), 0o600)
	b.CacheDir = t.TempDir()
	paths, err := b.Resolve(t.Context(), "fake", "second")
	require.NoError(t, err)
	assert.Equal(t, 1, u.requests(), "one download for all")
	output, err := exec.Command(paths["second"]).Output()
	require.NoError(t, err)
	assert.Equal(t, "fake version v1.2.3\n", string(output))

	// A pin that has moved since is not in it.
	b.CacheDir = t.TempDir()
	b.write(t, filepath.Join(b.ToolsDir, "fake", "go.sum"), "example.com/pin v1.2.3 h1:0000000000000000000000000000000000000000000=\n", 0o600)
	_, err = b.Resolve(t.Context(), "fake", "second")
	require.ErrorContains(t, err, "the bundle has no build of this pin")
	assert.Equal(t, 2, u.requests(), "it is not downloaded again for the second")
}

// The file of checksums in the repository is whole, and follows the pins.
func TestUnit_EveryDownloadFollowsItsPin(t *testing.T) {
	r := &Resolver{ToolsDir: filepath.Join("..", "..", "..", "..", "tools")}
	all, err := r.downloads()
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, entry := range all.Tools {
		assert.False(t, seen[entry.Tool], "%s stands twice", entry.Tool)
		seen[entry.Tool] = true
		version, err := r.Version(entry.Tool)
		require.NoError(t, err)
		assert.Equal(t, version, entry.Version, "%s: run `bin/lab tools --pin`", entry.Tool)
		for on, a := range entry.Archives {
			assert.Regexp(t, `^(linux|darwin)/(amd64|arm64)$`, on)
			a = all.resolved(a, entry.Version)
			assert.Regexp(t, `^https://(dl\.k8s\.io|github\.com)/[^{}]+$`, a.URL)
			assert.NotContains(t, a.Member, "{")
			assert.Equal(t, strings.HasSuffix(a.URL, ".tar.gz"), a.Member != "", a.URL)
		}
	}
	for on, a := range all.Bundle {
		assert.Regexp(t, `^https://github\.com/.+\.tar\.gz$`, a.URL, on)
	}
	for _, tool := range tools() {
		switch tool.Name {
		case ArgoCD, ArgoRollouts:
			assert.False(t, seen[tool.Name], "upstream's copy of %s listens on every address of the machine", tool.Name)
		default:
			assert.True(t, seen[tool.Name], "%s has no download", tool.Name)
		}
	}
}
