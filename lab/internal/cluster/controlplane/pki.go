package controlplane

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
)

const (
	caCertFile            = "ca.crt"
	caKeyFile             = "ca.key"
	serviceAccountKeyFile = "sa-signer.key"

	// validity is longer than the life of any lab: an expired certificate would be hard to explain.
	// To renew the certificates, remove Dir.
	validity = 10 * 365 * 24 * time.Hour
)

// servingCertificate belongs to the API server, and to the two components that serve their health
// over TLS.
var servingCertificate = certificate{name: "apiserver", commonName: "kube-apiserver", serving: true}

// authority is the certificate authority of one cluster. It keeps all certificates in a directory
// and makes none twice.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// certificate describes a certificate to issue. The user name is commonName, its groups are groups.
type certificate struct {
	name       string // of the files
	commonName string
	groups     []string
	serving    bool // for a server on loopback; otherwise for a client
}

// keyPair is an issued certificate in memory and on disk.
type keyPair struct {
	certPEM, keyPEM   []byte
	certFile, keyFile string
}

func openAuthority(dir string) (*authority, error) {
	a := &authority{dir: dir}
	certFile, keyFile := filepath.Join(dir, caCertFile), filepath.Join(dir, caKeyFile)
	cert, key, err := readPair(certFile, keyFile)
	if err == nil {
		a.cert, a.key = cert, key
		return a, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the certificate authority in %s: %w; remove the directory to get a new cluster", dir, err)
	}
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the certificate authority's key: %w", err)
	}
	template, err := newTemplate("gridos-lab")
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	if _, err := a.sign(template, template, a.key, certFile, keyFile); err != nil {
		return nil, fmt.Errorf("make the certificate authority: %w", err)
	}
	a.cert, _, err = readPair(certFile, keyFile)
	return a, err
}

func (a *authority) caFile() string { return filepath.Join(a.dir, caCertFile) }

func (a *authority) caPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue returns the certificate of an earlier run if this authority has one.
func (a *authority) issue(want certificate) (keyPair, error) {
	certFile, keyFile := filepath.Join(a.dir, want.name+".crt"), filepath.Join(a.dir, want.name+".key")
	if cert, _, err := readPair(certFile, keyFile); err == nil && cert.CheckSignatureFrom(a.cert) == nil {
		return loadPair(certFile, keyFile)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("make the key of %s: %w", want.name, err)
	}
	template, err := newTemplate(want.commonName)
	if err != nil {
		return keyPair{}, err
	}
	template.Subject.Organization = want.groups
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if want.serving {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.DNSNames = []string{"localhost", "kubernetes.default.svc"}
		template.IPAddresses = []net.IP{net.ParseIP(loopback)}
	}
	pair, err := a.sign(template, a.cert, key, certFile, keyFile)
	if err != nil {
		return keyPair{}, fmt.Errorf("issue the certificate of %s: %w", want.name, err)
	}
	return pair, nil
}

// serviceAccountKey is the file of the key that signs service-account tokens; it also verifies
// them.
func (a *authority) serviceAccountKey() (string, error) {
	file := filepath.Join(a.dir, serviceAccountKeyFile)
	_, err := os.Stat(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make the service-account key: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return "", err
	}
	return file, writeFile(file, keyPEM)
}

func (a *authority) sign(template, parent *x509.Certificate, key crypto.Signer, certFile, keyFile string) (keyPair, error) {
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		return keyPair{}, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return keyPair{}, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	if err := errors.Join(writeFile(keyFile, keyPEM), writeFile(certFile, certPEM)); err != nil {
		return keyPair{}, err
	}
	return keyPair{certPEM: certPEM, keyPEM: keyPEM, certFile: certFile, keyFile: keyFile}, nil
}

func newTemplate(commonName string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    now.Add(-time.Hour), // a clock set back a little must not break the lab
		NotAfter:     now.Add(validity),
	}, nil
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("encode a private key: unexpected type %T", key)
	}
	raw, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), nil
}

func loadPair(certFile, keyFile string) (keyPair, error) {
	certPEM, certErr := os.ReadFile(certFile)
	keyPEM, keyErr := os.ReadFile(keyFile)
	return keyPair{certPEM: certPEM, keyPEM: keyPEM, certFile: certFile, keyFile: keyFile}, errors.Join(certErr, keyErr)
}

// readPair fails unless both files are there, whole, and belong together.
func readPair(certFile, keyFile string) (*x509.Certificate, crypto.Signer, error) {
	pair, err := loadPair(certFile, keyFile)
	if err != nil {
		return nil, nil, err
	}
	certBlock, _ := pem.Decode(pair.certPEM)
	keyBlock, _ := pem.Decode(pair.keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, fmt.Errorf("%s or %s is not PEM", certFile, keyFile)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", certFile, err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	if public, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(key.Public()) {
		return nil, nil, fmt.Errorf("%s and %s do not belong together", certFile, keyFile)
	}
	return cert, key, nil
}

// writeFile writes a file, and does not touch one with the same content.
func writeFile(file string, content []byte) error {
	if before, err := os.ReadFile(file); err == nil && bytes.Equal(before, content) {
		return nil
	}
	return atomicfile.Write(file, content)
}
