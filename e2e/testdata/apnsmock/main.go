// Command apnsmock runs the mock server of baobabus/go-apnsmock on the loopback
// interface until standard input ends. It prints one line of JSON: where it is,
// and the certificate to trust.
package main

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"os"

	"github.com/baobabus/go-apnsmock/apns2mock"
)

func main() {
	s, err := apns2mock.NewServer(apns2mock.NoDelayCommsCfg, apns2mock.TokenAuthHandler, apns2mock.AutoCert, apns2mock.AutoKey)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.RootCertificate.Certificate[0]})
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"addr": s.Listener.Addr().String(), "root": string(root)}); err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		log.Fatal(err)
	}
}
