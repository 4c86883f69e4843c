package nodeagent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probe asks a container's probes until ctx is done: first that of its start, then the other two.
func (p *pod) probe(ctx context.Context, c *container, spec *corev1.Container, init int) {
	if init >= 0 {
		return // an init container has none
	}
	if spec.StartupProbe != nil {
		if !p.ask(ctx, c, spec, "Startup", spec.StartupProbe, func(good bool) bool {
			if good {
				p.change(func(status *corev1.PodStatus) {
					s := statusOf(status, init)
					*s.Started = true
					s.Ready = spec.ReadinessProbe == nil
				})
			}
			return !good
		}) {
			return
		}
	}
	if spec.LivenessProbe != nil {
		go p.ask(ctx, c, spec, "Liveness", spec.LivenessProbe, func(bool) bool { return true })
	}
	if spec.ReadinessProbe != nil {
		p.ask(ctx, c, spec, "Readiness", spec.ReadinessProbe, func(good bool) bool {
			p.change(func(status *corev1.PodStatus) {
				if s := statusOf(status, init); s.State.Running != nil {
					s.Ready = good
				}
			})
			return true
		})
	}
}

// ask asks a probe until ctx is done, or changed wants to hear no more: it hears when the
// thresholds say that the result is another one. A container whose start or liveness fails is
// stopped. The result is true when changed has ended it.
func (p *pod) ask(
	ctx context.Context, c *container, spec *corev1.Container, kind string, probe *corev1.Probe, changed func(good bool) (more bool),
) bool {
	timer := time.NewTimer(time.Duration(probe.InitialDelaySeconds) * time.Second)
	defer timer.Stop()
	good, known, same := false, false, int32(0)
	last := false
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		timer.Reset(time.Duration(probe.PeriodSeconds) * time.Second)
		err := p.try(ctx, c, spec, probe)
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			p.events.Eventf(p.seen(), corev1.EventTypeWarning, "Unhealthy", "%s probe failed: %v", kind, err)
		}
		if is := err == nil; is != last {
			same, last = 0, is
		}
		same++
		threshold := probe.SuccessThreshold
		if !last {
			threshold = probe.FailureThreshold
		}
		if same < threshold || known && last == good {
			continue
		}
		good, known = last, true
		if !good && kind != "Readiness" {
			grace := p.normalGrace()
			if probe.TerminationGracePeriodSeconds != nil {
				grace = time.Duration(*probe.TerminationGracePeriodSeconds) * time.Second
			}
			p.stop(c, spec, grace, fmt.Sprintf("Container %s failed %s probe, will be restarted", spec.Name, strings.ToLower(kind)))
			return false
		}
		if !changed(good) {
			return true
		}
	}
}

// normalGrace is the grace period of a pod that is not being deleted.
func (p *pod) normalGrace() time.Duration {
	if p.spec.TerminationGracePeriodSeconds == nil {
		return 30 * time.Second
	}
	return time.Duration(*p.spec.TerminationGracePeriodSeconds) * time.Second
}

// try asks a probe once.
func (p *pod) try(ctx context.Context, c *container, spec *corev1.Container, probe *corev1.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(probe.TimeoutSeconds)*time.Second)
	defer cancel()
	switch {
	case probe.HTTPGet != nil:
		return p.get(ctx, c, spec, probe.HTTPGet)
	case probe.TCPSocket != nil:
		port, err := portOf(spec, probe.TCPSocket.Port)
		if err != nil {
			return err
		}
		connection, err := c.dial(ctx, netip.Addr{}, netip.AddrPortFrom(p.address, port))
		if err != nil {
			return err
		}
		return connection.Close()
	case probe.Exec != nil:
		return execute(ctx, c, probe.Exec.Command)
	default:
		return errors.New("the lab's node agent asks probes by HTTP, TCP and commands only")
	}
}

func execute(ctx context.Context, c *container, command []string) error {
	output, code, err := c.exec(ctx, command)
	if err == nil && code != 0 {
		err = fmt.Errorf("command exited with %d: %s", code, output)
	}
	return err
}

// get asks a probe by HTTP: any status from 200 to 399 is good (kubernetes.io, "Configure Liveness,
// Readiness and Startup Probes").
func (p *pod) get(ctx context.Context, c *container, spec *corev1.Container, get *corev1.HTTPGetAction) error {
	port, err := portOf(spec, get.Port)
	if err != nil {
		return err
	}
	scheme := strings.ToLower(string(get.Scheme))
	if scheme != "http" {
		return fmt.Errorf("the lab's node agent asks probes by plain HTTP, not by %s", get.Scheme)
	}
	to := netip.AddrPortFrom(p.address, port)
	url := fmt.Sprintf("%s://%s/%s", scheme, to, strings.TrimPrefix(get.Path, "/"))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "kube-probe/1.35")
	for _, header := range get.HTTPHeaders {
		if strings.EqualFold(header.Name, "Host") {
			request.Host = header.Value
		} else {
			request.Header.Set(header.Name, header.Value)
		}
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx, netip.Addr{}, to) },
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", response.StatusCode)
	}
	return nil
}

// hook runs a hook of a container's life.
func (p *pod) hook(ctx context.Context, c *container, spec *corev1.Container, hook *corev1.LifecycleHandler) error {
	switch {
	case hook.Exec != nil:
		return execute(ctx, c, hook.Exec.Command)
	case hook.HTTPGet != nil:
		return p.get(ctx, c, spec, hook.HTTPGet)
	case hook.Sleep != nil:
		timer := time.NewTimer(time.Duration(hook.Sleep.Seconds) * time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.done:
		case <-ctx.Done():
		}
		return nil
	default:
		return errors.New("the lab's node agent knows hooks with a command, HTTP or sleep only")
	}
}

// portOf returns a port that may be given by the name that the container has for it.
func portOf(spec *corev1.Container, port intstr.IntOrString) (uint16, error) {
	number := port.IntVal
	if port.Type == intstr.String {
		parsed, err := strconv.ParseUint(port.StrVal, 10, 16)
		number = int32(parsed)
		if err != nil {
			for _, p := range spec.Ports {
				if p.Name == port.StrVal {
					number, err = p.ContainerPort, nil
				}
			}
		}
		if err != nil {
			return 0, fmt.Errorf("couldn't find port %q of container %s", port.StrVal, spec.Name)
		}
	}
	return uint16(number), nil
}
