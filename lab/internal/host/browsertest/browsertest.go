// Package browsertest shows pages to tests in a real Chromium.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Browser is a tab of a browser, and what went wrong in it.
type Browser struct {
	ctx   context.Context
	mutex sync.Mutex
	wrong []string
}

// Open opens a tab of a width and a height, for the rest of the test. The scheme is light or dark.
// Without a browser the test is skipped, and fails where CI is set.
func Open(t *testing.T, width, height int64, scheme string) *Browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program(t)), chromedp.WindowSize(int(width), int(height)),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.WSURLReadTimeout(time.Minute))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it does not start for root otherwise; it only sees the test's pages
	}
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	tab, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &Browser{}
	require.NoError(t, chromedp.Listen(tab, b.listen))
	b.ctx, cancel = context.WithTimeout(tab, 5*time.Minute)
	t.Cleanup(cancel)
	_, err := chromedp.Call(b.ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(t, err)
	b.Do(t, chromedp.EmulateViewport(width, height))
	return b
}

func program(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "there is no Chromium or Chrome on PATH; install the package chromium"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

func (b *Browser) listen(event any) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.wrong = append(b.wrong, "console."+string(e.Type))
	case *log.EventEntryAdded:
		b.wrong = append(b.wrong, string(e.Entry.Level)+": "+e.Entry.Text+" "+e.Entry.URL)
	}
}

// Do does something in the tab.
func (b *Browser) Do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	require.NoError(t, chromedp.Do(b.ctx, actions...))
}

// Until waits for an expression to become true, also on the page that a link leads to. Between two
// pages there is none that could answer.
func (b *Browser) Until(t *testing.T, expression string) {
	t.Helper()
	if !assert.EventuallyWithT(t, func(c *assert.CollectT) {
		holds, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		require.NoError(c, err)
		assert.True(c, holds)
	}, 30*time.Second, 50*time.Millisecond) {
		body, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`)) // the test has failed already
		require.FailNow(t, expression+" never became true", "the page says:\n%s\n%v", body, b.wrong)
	}
}

// Evaluate returns the value of an expression.
func Evaluate[T any](t *testing.T, b *Browser, expression string) T {
	t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	require.NoError(t, err, expression)
	return value
}

// Picture returns the tab as it looks, in PNG.
func (b *Browser) Picture(t *testing.T) []byte {
	t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	return picture
}

// Clean asserts that nothing went wrong: also nothing that a page's policy has forbidden.
func (b *Browser) Clean(t *testing.T) {
	t.Helper()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	assert.Empty(t, b.wrong)
}
