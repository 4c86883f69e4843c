package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/demo"
	"github.com/gridos/sharedinfra/src/internal/pgtest"
	"github.com/gridos/sharedinfra/src/internal/servicetest"
	"github.com/gridos/sharedinfra/src/internal/settings"
)

var shared pgtest.Shared

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

// browser is a page in a real Chromium, and what went wrong in it.
type browser struct {
	ctx   context.Context
	mutex sync.Mutex
	wrong []string
	hosts map[string]bool
}

func open(t *testing.T, width, height int64, dark bool) *browser {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		pgtest.Require(t, errors.New("no Chromium or Chrome on PATH; install the package chromium"))
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.WindowSize(int(width), int(height)),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.WSURLReadTimeout(time.Minute))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it does not start for root otherwise; it only sees this service
	}
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	tab, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{hosts: map[string]bool{}}
	require.NoError(t, chromedp.Listen(tab, b.listen))
	b.ctx, cancel = context.WithTimeout(tab, 2*time.Minute)
	t.Cleanup(cancel)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(b.ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	_, err = chromedp.Call(b.ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(t, err)
	b.do(t, chromedp.EmulateViewport(width, height))
	return b
}

func (b *browser) listen(event any) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.wrong = append(b.wrong, "console."+string(e.Type))
	case *log.EventEntryAdded:
		b.wrong = append(b.wrong, string(e.Entry.Level)+": "+e.Entry.Text+" "+e.Entry.URL)
	case *network.EventRequestWillBeSent:
		if address, err := url.Parse(e.Request.URL); err == nil && address.Scheme != "data" {
			b.hosts[address.Host] = true
		}
	}
}

func (b *browser) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	require.NoError(t, chromedp.Do(b.ctx, actions...))
}

// until waits for an expression to become true.
func (b *browser) until(t *testing.T, expression string) {
	t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(20*time.Second), chromedp.WithPollingInterval(50*time.Millisecond)))
	if err != nil {
		body, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`)) // the test has failed already
		require.NoError(t, err, "%s never became true; the page says:\n%s\n%v", expression, body, b.wrong)
	}
}

func (b *browser) text(t *testing.T, expression string) string {
	t.Helper()
	return evaluate[string](t, b, expression)
}

func evaluate[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	require.NoError(t, err, expression)
	return value
}

// clean asserts that nothing went wrong in the page, and that it sent requests to the service only.
func (b *browser) clean(t *testing.T, service string) {
	t.Helper()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	assert.Empty(t, b.wrong)
	address, err := url.Parse(service)
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{address.Host: true}, b.hosts)
}

// start is a service with two substations that the test controls.
func start(t *testing.T) *servicetest.Replica {
	t.Helper()
	replica := servicetest.Start(t, settings.Settings{Database: shared.Database(t)})
	replica.Ready(t, true)
	replica.Must(t, "PUT", "/api/v1/substations/nord", map[string]any{"name": "Nord <b>", "region": "Coast", "points": []map[string]any{
		{"key": "u1", "name": "Busbar 1", "kind": "voltage", "low": 105, "high": 120, "hysteresis": 1},
		{"key": "q1", "name": "Line 1", "kind": "breaker", "normal": 1},
	}})
	replica.Must(t, "PUT", "/api/v1/substations/sued", map[string]any{"name": "Süd", "points": []map[string]any{
		{"key": "f", "name": "Frequency", "kind": "frequency"},
		{"key": "p", "name": "Power", "kind": "active-power"},
		{"key": "t", "name": "Oil", "kind": "temperature"},
	}})
	for i := 10; i >= 0; i-- {
		measure(t, replica, "nord", "u1", time.Now().Add(-time.Duration(i)*20*time.Second), 110+float64(i))
	}
	measure(t, replica, "nord", "q1", time.Now(), 1)
	measure(t, replica, "sued", "p", time.Now(), -42.5)
	return replica
}

func measure(t *testing.T, replica *servicetest.Replica, substation, point string, at time.Time, value float64) {
	t.Helper()
	replica.Must(t, "POST", "/api/v1/telemetry", map[string]any{"samples": []map[string]any{
		{"substation": substation, "point": point, "at": at.UTC().Format(time.RFC3339Nano), "value": value},
	}})
}

const row = `document.querySelector('[data-ref="%s"]').innerText.replaceAll(/\s+/g, " ").trim()`

func TestService_ThePageShowsLiveValuesAlarmsAndATrend(t *testing.T) {
	t.Parallel()
	replica := start(t)
	b := open(t, 1400, 900, false)
	b.do(t, chromedp.Navigate(replica.URL))
	b.until(t, `document.querySelectorAll(".point").length === 5`)
	assert.Equal(t, "● Busbar 1 110.0 kV", b.text(t, fmt.Sprintf(row, "nord/u1")))
	assert.Equal(t, "● Line 1 closed", b.text(t, fmt.Sprintf(row, "nord/q1")))
	assert.Equal(t, "● Power \u221242.5 MW", b.text(t, fmt.Sprintf(row, "sued/p")))
	assert.Equal(t, "◌ Frequency – Hz Stale", b.text(t, fmt.Sprintf(row, "sued/f")))
	assert.Equal(t, "Nord <b>Coast", b.text(t, `document.querySelector("#station-nord").textContent`), "a name is text and not HTML")
	b.until(t, `document.querySelector("#plot .trace")?.getTotalLength() > 50 && document.querySelectorAll("#plot .limit").length === 2`)

	// Without a reload: a new value, and with it an alarm by shape, word and colour.
	before := b.text(t, `getComputedStyle(document.querySelector('[data-ref="nord/u1"] .value')).color`)
	measure(t, replica, "nord", "u1", time.Now(), 125)
	b.until(t, `document.querySelector('[data-ref="nord/u1"]').dataset.alarm === "high"`)
	assert.Equal(t, "▲ Busbar 1 125.0 kV High", b.text(t, fmt.Sprintf(row, "nord/u1")))
	assert.NotEqual(t, before, b.text(t, `getComputedStyle(document.querySelector('[data-ref="nord/u1"] .value')).color`))
	assert.Contains(t, b.text(t, `document.querySelector("#alarms").innerText`), "Nord <b>, Busbar 1: 125.0 kV")
	assert.Equal(t, "1 alarm", b.text(t, `document.querySelector("#total-alarms").innerText`))
	assert.Equal(t, "Alarm: Nord <b>, Busbar 1: High", b.text(t, `document.querySelector("#announce").textContent`), "for screen readers")

	measure(t, replica, "nord", "q1", time.Now(), 0)
	b.until(t, `document.querySelectorAll("#alarms li").length === 2`)
	assert.Equal(t, "◆ Line 1 open Not normal", b.text(t, fmt.Sprintf(row, "nord/q1")))
	measure(t, replica, "nord", "u1", time.Now(), 115)
	b.until(t, `document.querySelectorAll("#alarms li").length === 1`)
	b.clean(t, replica.URL)
}

func TestService_ThePageIsUsedByKeyboardAlone(t *testing.T) {
	t.Parallel()
	replica := start(t)
	b := open(t, 1400, 900, true)
	b.do(t, chromedp.Navigate(replica.URL))
	b.until(t, `document.querySelectorAll(".point").length === 5 && document.querySelector("#plot .trace") !== null`)
	focused := func(selector string) string { return fmt.Sprintf(`document.activeElement.matches('%s')`, selector) }

	b.do(t, chromedp.KeyEvent(kb.Tab))
	b.until(t, focused(".skip"))
	b.do(t, chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab))
	b.until(t, focused(`[data-ref="nord/u1"]`))
	b.do(t, chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.ArrowDown))
	b.until(t, focused(`[data-ref="sued/p"]`))
	assert.NotEqual(t, "none", b.text(t, `getComputedStyle(document.activeElement).outlineStyle`), "the focus can be seen")
	b.do(t, chromedp.KeyEvent(kb.Enter))
	b.until(t, `document.querySelector("#trend-title").textContent === "Power"`)
	b.until(t, focused("#plot")+` && document.querySelector("#plot .trace") !== null`)
	b.do(t, chromedp.KeyEvent(kb.Home))
	b.until(t, `document.querySelector("#plot").getAttribute("aria-valuetext").includes("42.5 MW")`)
	b.do(t, chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(kb.ModifierShift)), chromedp.KeyEvent(kb.ArrowRight))
	b.until(t, `location.hash === "#sued/p/6h"`)
	b.do(t, chromedp.KeyEvent(kb.Escape))
	b.until(t, focused(`[data-ref="sued/p"]`))

	// A new value must not take the focus away.
	measure(t, replica, "sued", "p", time.Now(), 17)
	b.until(t, `document.querySelector('[data-ref="sued/p"]').innerText.includes("17.0")`)
	b.until(t, focused(`[data-ref="sued/p"]`))
	b.clean(t, replica.URL)
}

func TestService_ThePageFitsAPhone(t *testing.T) {
	t.Parallel()
	replica := start(t)
	long := strings.Repeat("Verylongname", 6)
	replica.Must(t, "PUT", "/api/v1/substations/long", map[string]any{"name": long, "region": long, "points": []map[string]any{
		{"key": "u1", "name": long, "kind": "voltage", "low": 105, "high": 120},
	}})
	measure(t, replica, "long", "u1", time.Now(), 1499.9)
	for _, width := range []int64{320, 390} {
		b := open(t, width, 800, false)
		b.do(t, chromedp.Navigate(replica.URL))
		b.until(t, `document.querySelectorAll(".point").length === 6 && document.querySelector("#plot .trace") !== null`)
		b.until(t, fmt.Sprintf(`document.documentElement.scrollWidth <= %d && document.body.scrollWidth <= %d`, width, width))
		small := evaluate[[]string](t, b, `[...document.querySelectorAll(".point")].filter((e) => e.offsetHeight < 44).map((e) => e.dataset.ref)`)
		assert.Empty(t, small, "too small for a finger")
		b.clean(t, replica.URL)
	}
}

func TestService_ThePageSaysThatItsValuesAreOld(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	database, err := server.Database(t.Context())
	require.NoError(t, err)
	replica := servicetest.Start(t, settings.Settings{Database: database})
	replica.Ready(t, true)
	b := open(t, 1000, 700, false)
	b.do(t, chromedp.Navigate(replica.URL))
	b.until(t, `document.querySelector("#link-text").textContent === "Live"`)
	assert.Contains(t, b.text(t, `document.body.innerText`), "No substation has been defined yet.")
	require.NoError(t, server.Stop(syscall.SIGQUIT))
	b.until(t, `document.querySelector("#offline").innerText.startsWith("✕ No connection: the values are those of")`)
	require.NoError(t, server.Start(t.Context()))
	b.until(t, `document.querySelector("#offline").hidden && document.querySelector("#link-text").textContent === "Live"`)
}

// It ends while it sends the history, too, as in a test that is skipped.
func TestService_TheDemoEndsWithoutAnErrorWheneverItIsStopped(t *testing.T) {
	t.Parallel()
	replica := servicetest.Start(t, settings.Settings{Database: shared.Database(t)})
	replica.Ready(t, true)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- demo.Run(ctx, demo.Options{
			URL: replica.URL, Interval: time.Second, History: 40 * time.Hour, HistoryStep: 15 * time.Second,
		}, slog.New(slog.DiscardHandler))
	}()
	require.Eventually(t, func() bool {
		return strings.Contains(replica.Must(t, "GET", "/api/v1/substations", nil), `"value":`)
	}, 10*time.Second, 10*time.Millisecond, "it sends")
	stop()
	require.NoError(t, <-done)
}

// The demo fills the page; with GRIDOS_SCREENSHOTS set to a folder, pictures of it are written
// there.
func TestService_TheDemoFillsThePage(t *testing.T) {
	t.Parallel()
	replica := servicetest.Start(t, settings.Settings{Database: shared.Database(t)})
	replica.Ready(t, true)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- demo.Run(ctx, demo.Options{
			URL: replica.URL, Interval: time.Second, History: 90 * time.Minute, HistoryStep: 15 * time.Second,
		}, slog.New(slog.DiscardHandler))
	}()
	defer func() {
		stop()
		require.NoError(t, <-done)
	}()
	for name, c := range map[string]struct {
		width, height int64
		dark          bool
	}{
		"dashboard": {1440, 1160, false}, "dashboard-dark": {1440, 1160, true}, "dashboard-phone": {390, 844, false},
	} {
		b := open(t, c.width, c.height, c.dark)
		b.do(t, chromedp.Navigate(replica.URL+"/#lindenau/oil-temperature/1h"))
		b.until(t, `document.querySelectorAll(".station").length === 9`)
		b.until(t, `document.querySelectorAll("#alarms li").length >= 1 && document.querySelector("#plot .trace")?.getTotalLength() > 200`)
		b.until(t, `[...document.querySelectorAll(".point")].filter((p) => p.dataset.stale === "true").length === 1`)
		b.clean(t, replica.URL)
		if folder := os.Getenv("GRIDOS_SCREENSHOTS"); folder != "" {
			picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644))
		}
	}
}
