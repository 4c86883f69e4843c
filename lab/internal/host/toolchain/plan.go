package toolchain

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// buildSeconds returns about how many seconds of processor time the build of each tool takes with
// empty caches, in the order in which the lab needs them, each after the ones before it (measured
// 2026-11-30, two processors without other work).
func buildSeconds() map[string]int {
	return map[string]int{
		Pulumi: 210, Etcd: 43, KubeAPIServer: 300, KubeControllerManager: 92, KubeScheduler: 10, PulumiKubernetes: 250,
		ArgoCD: 355, ArgoRollouts: 55, Prometheus: 120, ArgoRolloutsPlugin: 22, Kustomize: 4, Kubectl: 31,
	}
}

// plan is what has to be got, and how long that takes about.
type plan struct {
	processors int
	announced  []string
	left       time.Duration // if all that is not there yet has to be built
}

// announce adds what is missing to the plan, and tells the user about it.
func (r *Resolver) announce(missing []*search) {
	if r.plan == nil {
		r.plan = &plan{processors: runtime.NumCPU()}
	}
	missing = slices.DeleteFunc(slices.Clone(missing), func(s *search) bool { return slices.Contains(r.plan.announced, s.tool.Name) })
	if len(missing) == 0 {
		return
	}
	announcement := r.add(missing)
	if r.Progress != nil {
		r.Progress.Printf("%s", announcement)
	}
}

// add adds what is missing to the plan, and returns the line that announces it.
func (r *Resolver) add(missing []*search) string {
	p := r.plan
	bundle := false
	if all, err := r.downloads(); err == nil {
		bundle = all.Bundle[platform()].Sum != ""
	}
	var download, build []string
	var size int64
	var instead, builds time.Duration // of the downloads, if they fail, and of the others
	unknown := 0
	for _, s := range missing {
		p.announced = append(p.announced, s.tool.Name)
		p.left += p.share(s.tool)
		a, err := s.archive()
		switch {
		case r.isOffline() || err != nil && !bundle:
			build = append(build, s.tool.Name)
			builds += p.share(s.tool)
		default:
			download = append(download, s.tool.Name)
			instead += p.share(s.tool)
			size += a.Size
			if a.Size == 0 {
				unknown++
			}
		}
	}
	var parts []string
	if len(download) > 0 {
		part := fmt.Sprintf("download %s", strings.Join(download, ", "))
		switch {
		case unknown == 0:
			part += fmt.Sprintf(" (%d MB)", size/1_000_000)
		case size > 0:
			part += fmt.Sprintf(" (%d MB, and %d of unknown size)", size/1_000_000, unknown)
		}
		parts = append(parts, part)
	}
	if len(build) > 0 && r.DownloadOnly {
		parts = append(parts, "not build "+strings.Join(build, ", "))
	} else if len(build) > 0 {
		parts = append(parts, fmt.Sprintf("build %s (about %s on %d processors)", strings.Join(build, ", "), about(builds), p.processors))
	}
	said := "Once, the lab has to " + strings.Join(parts, ", and ") + "."
	if len(download) > 0 && !r.DownloadOnly {
		said += fmt.Sprintf(" What cannot be downloaded is built (all of it: about %s on %d processors).", about(instead), p.processors)
	}
	return said
}

// share is how long the build of a tool takes about, if all processors work on it.
func (p *plan) share(t Tool) time.Duration {
	return time.Duration(buildSeconds()[t.Name]/p.processors) * time.Second
}

// got counts off a tool that is there now.
func (p *plan) got(t Tool) { p.left = max(0, p.left-p.share(t)) }

// built is got for a tool that had to be built, and says what is left.
func (p *plan) built(t Tool) string {
	p.got(t)
	if p.left < time.Minute {
		return ""
	}
	return "; about " + about(p.left) + " left"
}

// about rounds a guess to minutes.
func about(d time.Duration) string {
	if d < 90*time.Second {
		return "a minute"
	}
	return fmt.Sprintf("%d minutes", int(d.Round(time.Minute)/time.Minute))
}
