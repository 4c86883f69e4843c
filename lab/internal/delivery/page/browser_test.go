package page

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/host/browsertest"
)

// open shows the page in a browser.
func open(t *testing.T, s *Server, width, height int64, scheme string) *browsertest.Browser {
	t.Helper()
	b := browsertest.Open(t, width, height, scheme)
	b.Do(t, chromedp.Navigate("http://"+s.Address()+"/"))
	b.Until(t, `document.querySelector("#link").dataset.state === "live"`)
	return b
}

// stand is a page with a release at its second share, which the test moves on.
func stand(t *testing.T) (*Server, *play) {
	t.Helper()
	s := serve(t)
	p := newPlay(t)
	p.now = time.Now().Add(-time.Minute)
	p.released(t)
	p.weigh(10)
	p.after(1)
	for range 8 {
		p.serve(oldPods, 90, 0)
		p.serve(newPods, 10, 1)
	}
	p.judged("gridos-run-1", "Successful", false)
	p.judged("gridos-run-0", "Running", true)
	p.weigh(25)
	p.after(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorder, s.state = p.recorder, p.state
	app := argo.Application{}
	app.Name, app.Status.Sync.Status, app.Status.Health.Status = "gridos-dev", "Synced", "Healthy"
	bad := argo.Application{}
	bad.Name, bad.Status.Sync.Status = "a-name-that-is-much-longer-than-a-phone-is-wide-and-has-no-space", "Unknown"
	bad.Status.Conditions = append(bad.Status.Conditions, struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}{"InvalidSpecError", "application destination <b>server</b> is not permitted " + strings.Repeat("verylongword", 12)})
	s.apps = []argo.Application{app, bad}
	s.judge(time.Now())
	s.source = &Source{
		Branch: "develop", Application: "http://127.0.0.1:1",
		Object:  func(_ context.Context, kind, name string) ([]byte, error) { return []byte(kind + ": " + name), nil },
		Answers: func() []Answers { return []Answers{{oldPods, p.users[oldPods].Requests, p.users[oldPods].Failed}} },
	}
	return s, p
}

func TestCluster_ThePageShowsAReleaseAndWhatWasRefused(t *testing.T) {
	t.Parallel()
	s, p := stand(t)
	b := open(t, s, 1280, 900, "light")
	text := func(selector string) string {
		return browsertest.Evaluate[string](t, b, fmt.Sprintf(`document.querySelector(%q).innerText.replaceAll(/\s+/g, " ").trim()`, selector))
	}
	b.Until(t, `document.querySelectorAll(".release").length === 1 && document.querySelectorAll("#stacks li").length === 1`)
	assert.Contains(t, text(".release summary"), "dev-aaaaaaa")
	assert.Contains(t, text(".release summary"), "◐ under way")
	assert.Contains(t, text("#stacks"), "update: 34 created")
	assert.Contains(t, text(".steps"), "● 10 %")
	assert.Contains(t, text(".steps"), "◐ 25 %")
	assert.Contains(t, text(".steps"), "○ 100 %")
	assert.Contains(t, text(".users figcaption"), "8 requests failed")
	assert.Contains(t, text("#refused"), "<b>server</b> is not permitted", "a message is text and not HTML")
	assert.Contains(t, text("#azure"), "virtualNetworks 1")
	assert.Equal(t, "http://127.0.0.1:1/", browsertest.Evaluate[string](t, b, `[...document.querySelectorAll("#delivery a")].find((a) => a.innerText.includes("dashboard")).href`))

	// Without a reload, and without closing what is open.
	b.Do(t, chromedp.Click(`#azure summary`))
	s.record(func(r *recorder) {
		p.state.Rollout.Status.Abort, p.state.Rollout.Status.Phase = true, "Degraded"
		p.state.Rollout.Status.Message, p.state.Routing = `Metric "failed" assessed Failed`, argo.Routing{Stable: 100}
		s.state = p.state
		r.observe(p.state, nil, time.Now())
	})
	b.Until(t, `document.querySelector(".release summary").innerText.includes("▲ aborted")`)
	assert.Contains(t, text(".release .why"), `Metric "failed" assessed Failed`)
	assert.Contains(t, text("#refused"), "Argo Rollouts refused dev-aaaaaaa")
	assert.Equal(t, "Release dev-aaaaaaa: aborted", browsertest.Evaluate[string](t, b, `document.querySelector("#announce").textContent`), "for screen readers")
	assert.True(t, browsertest.Evaluate[bool](t, b, `document.querySelector("#azure details").open`))
	b.Do(t, chromedp.Click(`#refused li:first-child a`))
	b.Until(t, `document.querySelector("pre")?.innerText === "rollouts: gridos"`)
	b.Clean(t)
}

func TestCluster_ThePageIsUsedByKeyboardAlone(t *testing.T) {
	t.Parallel()
	s, _ := stand(t)
	b := open(t, s, 1280, 900, "dark")
	b.Until(t, `document.querySelectorAll(".release").length === 1`)
	focused := func(selector string) string { return fmt.Sprintf(`document.activeElement.matches('%s')`, selector) }
	b.Do(t, chromedp.KeyEvent(kb.Tab))
	b.Until(t, focused(".skip"))
	assert.Greater(t, browsertest.Evaluate[float64](t, b, `document.activeElement.offsetWidth`), 20., "it can be seen")
	b.Do(t, chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab))
	b.Until(t, focused(".release summary"))
	assert.NotEqual(t, "none", browsertest.Evaluate[string](t, b, `getComputedStyle(document.activeElement).outlineStyle`))
	b.Do(t, chromedp.KeyEvent(kb.Enter))
	b.Until(t, `!document.querySelector(".release details").open`)
	// A new state must not take the focus away, nor open what was closed.
	shown := browsertest.Evaluate[string](t, b, `document.querySelector("#clock").textContent`)
	b.Until(t, fmt.Sprintf(`document.querySelector("#clock").textContent !== %q`, shown))
	b.Until(t, focused(".release summary")+` && !document.querySelector(".release details").open`)
	b.Do(t, chromedp.KeyEvent(" "))
	b.Until(t, `document.querySelector(".release details").open`)
	b.Do(t, chromedp.KeyEvent(kb.Tab))
	b.Until(t, focused(".steps a"))
	b.Do(t, chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(kb.ModifierShift)))
	b.Until(t, focused(".release summary"))
	b.Clean(t)
}

// The ratio that WCAG 2.2, 1.4.3, asks for, of each text to what is behind it.
const contrasts = `(() => {
  const parse = (c) => (c.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility() || e.closest("svg, .hidden, .skip, noscript")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) poor.push(e.tagName + " " + e.className + " " + e.textContent.slice(0, 30) + " " + ratio.toFixed(1));
  }
  return poor;
})()`

func TestCluster_ThePageFitsAPhoneAndADesktopInBothSchemes(t *testing.T) {
	t.Parallel()
	s, _ := stand(t)
	backgrounds := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{320, 360, 1280} {
			b := open(t, s, width, 800, scheme)
			b.Until(t, `document.querySelectorAll(".release").length === 1`)
			b.Until(t, fmt.Sprintf(`document.documentElement.scrollWidth <= %d && document.body.scrollWidth <= %[1]d`, width))
			wide := fmt.Sprintf(`[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > %d + 1 && e.checkVisibility() &&
				!e.closest(".hidden")).map((e) => e.tagName + " " + e.className)`, width)
			assert.Empty(t, browsertest.Evaluate[[]string](t, b, wide), "%s, %d: cut off", scheme, width)
			assert.Empty(t, browsertest.Evaluate[[]string](t, b, contrasts), "%s, %d", scheme, width)
			backgrounds[browsertest.Evaluate[string](t, b, `getComputedStyle(document.body).backgroundColor`)] = true
			b.Clean(t)
		}
	}
	assert.Len(t, backgrounds, 2)
}

func TestCluster_ThePageSaysThatItIsOld(t *testing.T) {
	t.Parallel()
	s, _ := stand(t)
	b := open(t, s, 1000, 700, "light")
	require.NoError(t, s.Stop())
	b.Until(t, `document.querySelector("#offline").innerText.startsWith("▲ The lab does not answer: this is how it was at")`)
	assert.Equal(t, "lost", browsertest.Evaluate[string](t, b, `document.querySelector("#link").dataset.state`))
}
