//go:build !linux

package endpoint

type socketSys = plainSys

type plainSys struct{ plainIO }

func (plainSys) init(*socket, bool) error { return nil }

type batchSys struct{}

func (batchSys) init(*batch) {}
