package toolchain

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
)

const (
	// connectTimeout and answerTimeout bound the time lost on a closed network before the lab builds
	// instead. A host that sends no answer in time counts as unreachable.
	connectTimeout = 5 * time.Second
	answerTimeout  = 10 * time.Second
	// stallTimeout is how long an attempt waits for the next byte.
	stallTimeout = 30 * time.Second
	// attempts is how often a download is begun or continued.
	attempts = 5
	// largest bounds an archive whose size is not known. The largest has 250 MB.
	largest = 2 << 30
)

var errStalled = errors.New("no more bytes came")

// unreachableError is about a host that gave no answer at all.
type unreachableError struct{ error }

func (e unreachableError) Unwrap() error { return e.error }

// downloader gets files by HTTP. A download that breaks off goes on where it ended, in this run or
// in the next.
type downloader struct {
	client *http.Client
	stall  time.Duration
	pause  time.Duration // before the second attempt; later ones wait longer
}

func newDownloader() *downloader {
	return &downloader{
		client: &http.Client{Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout:   connectTimeout,
			ResponseHeaderTimeout: answerTimeout,
			DisableCompression:    true, // the checksum is of the file as it is stored
			ForceAttemptHTTP2:     true,
		}},
		stall: stallTimeout,
		pause: time.Second,
	}
}

// get brings the archive to path, and returns nil only if its size and checksum are right. Until
// then the bytes are in path too; a later call continues with them.
func (d *downloader) get(ctx context.Context, a archive, path string, update func(done, total int64)) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	began, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := d.fill(ctx, a, file, update); err != nil {
		return err
	}
	wrong := verify(a, file)
	if wrong != nil && began > 0 { // what an earlier run has left was not the beginning of it
		if err := file.Truncate(0); err != nil {
			return err
		}
		if err := d.fill(ctx, a, file, update); err != nil {
			return err
		}
		wrong = verify(a, file)
	}
	if wrong != nil {
		return errors.Join(wrong, os.Remove(path))
	}
	return file.Sync()
}

// fill downloads what the file lacks.
func (d *downloader) fill(ctx context.Context, a archive, file *os.File, update func(done, total int64)) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = d.pause
	unreachable := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := d.attempt(ctx, a, file, update)
		if errors.As(err, new(unreachableError)) {
			if unreachable++; unreachable > 1 {
				err = backoff.Permanent(err) // a host that is not there twice is not waited for
			}
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pause), backoff.WithMaxTries(attempts), backoff.WithMaxElapsedTime(0))
	if permanent := (*backoff.PermanentError)(nil); errors.As(err, &permanent) { // the last attempt's
		err = permanent.Unwrap()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", a.URL, err)
	}
	return nil
}

// attempt makes one request for the bytes that the file lacks.
func (d *downloader) attempt(ctx context.Context, a archive, file *os.File, update func(done, total int64)) error {
	done, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return backoff.Permanent(err)
	}
	if a.Size > 0 && done == a.Size {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(d.stall, func() { cancel(fmt.Errorf("%w for %s", errStalled, d.stall)) })
	defer watch.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, http.NoBody)
	if err != nil {
		return backoff.Permanent(err)
	}
	if done > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", done))
	}
	response, err := d.client.Do(request)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return unreachableError{err}
	}
	defer response.Body.Close() // it was read, or the attempt has failed
	switch status := response.StatusCode; {
	case status == http.StatusPartialContent && begins(response, done):
	case status == http.StatusOK:
		done = 0
	case status == http.StatusPartialContent, status == http.StatusRequestedRangeNotSatisfiable:
		return errors.Join(fmt.Errorf("the server cannot go on at byte %d", done), file.Truncate(0))
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return fmt.Errorf("the server answers %s", response.Status)
	default:
		return backoff.Permanent(fmt.Errorf("the server answers %s", response.Status))
	}
	total := a.Size
	if total == 0 && response.ContentLength > 0 {
		total = done + response.ContentLength
	}
	err = file.Truncate(done)
	if err == nil {
		_, err = file.Seek(done, io.SeekStart)
	}
	if err != nil {
		return backoff.Permanent(err)
	}
	limit := cmp.Or(a.Size, largest)
	written, err := io.Copy(file, &watched{
		reader: io.LimitReader(response.Body, limit-done+1),
		read: func(n int64) {
			watch.Reset(d.stall)
			update(done+n, total)
		},
	})
	switch done += written; {
	case err != nil:
		return cmp.Or(context.Cause(ctx), err)
	case done > limit:
		return errors.Join(backoff.Permanent(fmt.Errorf("it has more than the %d bytes of %s", limit, sumsFile)), file.Truncate(0))
	case a.Size > 0 && done < a.Size:
		return fmt.Errorf("%w: %d of %d bytes", io.ErrUnexpectedEOF, done, a.Size)
	}
	return nil
}

// begins reports whether a partial answer begins at the byte that was asked for.
func begins(response *http.Response, offset int64) bool {
	var first int64
	_, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-", &first)
	return err == nil && first == offset
}

// watched tells how many bytes were read.
type watched struct {
	reader io.Reader
	read   func(total int64)
	total  int64
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.reader.Read(p)
	w.total += int64(n)
	w.read(w.total)
	return n, err
}

// verify checks the size and the checksum of a downloaded file.
func verify(a archive, file *os.File) error {
	algorithm, want, err := a.sum()
	if err != nil || len(want) == 0 {
		return fmt.Errorf("%s: there is no checksum of it", a.URL)
	}
	var digest hash.Hash
	switch algorithm {
	case "sha256":
		digest = sha256.New()
	case "sha512":
		digest = sha512.New()
	default:
		return fmt.Errorf("%s: %s is not a known checksum", a.URL, algorithm)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	size, err := io.Copy(digest, file)
	if err != nil {
		return err
	}
	if got := digest.Sum(nil); !bytes.Equal(got, want) {
		return fmt.Errorf("%s: the %d bytes that came have the checksum %s:%s, and %s says %s; they were deleted",
			a.URL, size, algorithm, hex.EncodeToString(got), sumsFile, a.Sum)
	}
	if a.Size > 0 && size != a.Size {
		return fmt.Errorf("%s: %d bytes came, and %s says %d", a.URL, size, sumsFile, a.Size)
	}
	return nil
}

// downloadedPath is where the program out of an archive is kept. The checksum is in the path: a
// corrected one never uses what came before.
func (s *search) downloadedPath(a archive) string {
	return filepath.Join(filepath.Dir(filepath.Dir(s.cached)), s.tool.Name+"-"+a.key(), s.tool.Name)
}

// download gets the tool from its own archive, or all tools from the bundle, and returns the path
// of the binary. Its error says why neither has it; the search goes on.
func (s *search) download(ctx context.Context, step *progress.Step, failed map[string]error) (string, error) {
	if s.isOffline() {
		return "", errors.New("downloads are switched off")
	}
	path, err := s.fromArchive(ctx, step, failed)
	if err == nil || ctx.Err() != nil {
		return path, err
	}
	path, bundleErr := s.fromBundle(ctx, step, failed)
	if bundleErr == nil || ctx.Err() != nil {
		return path, bundleErr
	}
	return "", fmt.Errorf("%w; %w", err, bundleErr)
}

// Offline reports whether EnvOffline is set: nothing is to be asked outside the Go module proxy.
func Offline() bool {
	value := os.Getenv(EnvOffline)
	return value != "" && value != "0"
}

func (r *Resolver) isOffline() bool { return r.Offline || Offline() }

func (s *search) fromArchive(ctx context.Context, step *progress.Step, failed map[string]error) (string, error) {
	a, err := s.archive()
	if err != nil {
		return "", err
	}
	final := s.downloadedPath(a)
	err = s.bring(ctx, step, a, failed, final, func(file *os.File, dir string) error {
		program := filepath.Join(dir, s.tool.Name)
		wanted := map[string]string{a.Member: program}
		for _, member := range a.Beside {
			wanted[member] = filepath.Join(dir, path.Base(member))
		}
		missing, err := unpack(file, a, wanted)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			return fmt.Errorf("the archive has no %s", strings.Join(missing, ", "))
		}
		found, err := s.tool.readVersion(ctx, program)
		if err == nil && !s.tool.Match.accepts(s.version, found) {
			err = fmt.Errorf("it is version %s", found)
		}
		if err != nil {
			return err
		}
		return os.Rename(dir, filepath.Dir(final))
	})
	if err != nil {
		return "", err
	}
	return final, nil
}

// bring downloads and verifies an archive, and calls use with it and with an empty folder in the
// cache. It does nothing if the wanted file is there already, which another lab may have made.
func (s *search) bring(
	ctx context.Context, step *progress.Step, a archive, failed map[string]error, wanted string,
	use func(file *os.File, dir string) error,
) (err error) {
	address, err := url.Parse(a.URL)
	if err != nil {
		return err
	}
	if err := failed[address.Host]; err != nil {
		return err
	}
	cache := filepath.Dir(filepath.Dir(s.cached))
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return err
	}
	// Not the lock of the builds: those take long, and hinder no download.
	unlock, err := lock(ctx, filepath.Join(cache, ".lock-downloads"), func() { step.Update("waiting for a download by another lab") })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if isExecutable(wanted) {
		return nil
	}
	part := filepath.Join(cache, ".part-"+a.key())
	if err := removeOld(filepath.Join(cache, ".part-*"), part); err != nil {
		return err
	}
	get := s.downloader
	if get == nil {
		get = newDownloader()
	}
	step.Update("downloading from " + address.Host)
	err = get.get(ctx, a, part, func(done, total int64) { step.Update("downloading, " + amount(done, total)) })
	if err != nil {
		if errors.As(err, new(unreachableError)) || errors.Is(err, errStalled) {
			failed[address.Host] = err
		}
		return err
	}
	file, err := os.Open(part)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(part)) }()
	if err := removeAll(filepath.Join(cache, unpacking+"*")); err != nil { // what a killed lab has left
		return err
	}
	dir, err := os.MkdirTemp(cache, unpacking)
	if err != nil {
		return err
	}
	if err := use(file, dir); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", a.URL, err), os.RemoveAll(dir))
	}
	return os.RemoveAll(dir)
}

// unpacking begins the name of a folder into which an archive is unpacked.
const unpacking = ".unpacking-"

// forgotten is the age from which a file of a broken download is not continued any more.
const forgotten = 7 * 24 * time.Hour

// removeOld deletes what was left by downloads of other archives, such as those of earlier pins.
func removeOld(pattern, but string) error {
	paths, err := filepath.Glob(pattern)
	for _, path := range paths {
		info, statErr := os.Stat(path)
		if statErr == nil && path != but && time.Since(info.ModTime()) > forgotten {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

func removeAll(pattern string) error {
	paths, err := filepath.Glob(pattern)
	for _, path := range paths {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// amount tells how much of a download is there.
func amount(done, total int64) string {
	const mega = 1_000_000
	if total <= 0 {
		return fmt.Sprintf("%d MB", done/mega)
	}
	return fmt.Sprintf("%d of %d MB", done/mega, total/mega)
}
