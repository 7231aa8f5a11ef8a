package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// holds checks what is true of every line: what is taken is JSON, what is
// refused says why.
func holds(t *testing.T, line []byte, err error) {
	t.Helper()
	var why *contract.Error
	switch {
	case err == nil && (!json.Valid(line) || !utf8.Valid(line)):
		t.Errorf("%q is taken but is not JSON", line)
	case err != nil && (!errors.As(err, &why) || why.Reason == "" || why.Detail == ""):
		t.Errorf("%q: %v has no reason or detail", line, err)
	}
}

func FuzzSample(f *testing.F) {
	f.Add(sampleLine)
	f.Add([]byte(`{"ts":"2026-06-01T01:00:00.5Z","node":"\u00fc","gpu":"g","utilization":1e-3,"x":[{},null,true,"\\"]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var p contract.Parser
		var s contract.Sample
		err := p.Sample(line, &s)
		holds(t, line, err)
		if err != nil {
			return
		}
		if s.Node == "" || s.GPU == "" {
			t.Errorf("%q has no node or gpu", line)
		}
		for _, fraction := range []uint32{s.Utilization, s.SMActive, s.TensorActive, s.DRAMActive} {
			if fraction > 1_000_000 && fraction != schemas.Absent32 {
				t.Errorf("%q has the fraction %d", line, fraction)
			}
		}
	})
}

func FuzzProcess(f *testing.F) {
	f.Add([]byte(`{"ts":1,"node":"n","gpu":"g","slice":"s","pid":1,"allocation":"a","sm_utilization":0.5,"memory_used_bytes":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var p contract.Parser
		var r schemas.Process
		holds(t, line, p.Process(line, &r))
	})
}

func FuzzAllocation(f *testing.F) {
	f.Add([]byte(`{"ts":1,"event":"start","allocation":"a","gpus":[{"node":"n","gpu":"g","slice":"s","share":0.5}],"command":["a",1],"labels":{"k":"v","n":1e3},"requested":{"gpus":1},"submitted_at":1,"state":"failed"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var p contract.Parser
		var a schemas.Allocation
		err := p.Allocation(line, &a)
		holds(t, line, err)
		if err != nil {
			return
		}
		for _, g := range a.GPUs {
			if g.Node == "" || g.GPU == "" || g.Share < 0 || g.Share > 1_000_000 || g.Slice != "" && g.Share == 0 {
				t.Errorf("%q holds %+v", line, g)
			}
		}
		for i := 1; i < len(a.Labels); i++ {
			if a.Labels[i-1].Key >= a.Labels[i].Key {
				t.Errorf("%q: labels %v are not sorted or repeat", line, a.Labels)
			}
		}
	})
}

func FuzzResource(f *testing.F) {
	f.Add([]byte(`{"node":"n","resource":"r","provider":"p","gpus":["b","a"],"from":1,"to":2,"scheduler":true,"idle_watts":60.5,"pricing_category":"owned"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var p contract.Parser
		var r schemas.Resource
		err := p.Resource(line, &r)
		holds(t, line, err)
		for i := 1; err == nil && i < len(r.GPUs); i++ {
			if r.GPUs[i-1] >= r.GPUs[i] {
				t.Errorf("%q: gpus %v are not sorted or repeat", line, r.GPUs)
			}
		}
	})
}

func FuzzPrices(f *testing.F) {
	f.Add([]byte(priceHeader + "\naws,r,x,spot,USD,1.5,1,,\n"))
	fuzzFile(f, contract.File{Name: "prices.csv", Stream: schemas.StreamPrices})
}

func FuzzTags(f *testing.F) {
	f.Add([]byte(tagHeader + "\nuser=a*;label.x=?,team=t,1,,3\n"))
	fuzzFile(f, contract.File{Name: "tags.csv", Stream: schemas.StreamTags})
}

// fuzzFile reads whole files: each call of Next passes over a line at least.
func fuzzFile(f *testing.F, file contract.File) {
	f.Fuzz(func(t *testing.T, text []byte) {
		r := contract.NewReader(file, bytes.NewReader(text))
		for range bytes.Count(text, []byte("\n")) + 1 {
			err := r.Next()
			var why *contract.Error
			switch {
			case errors.Is(err, io.EOF):
				return
			case err == nil && (r.Price.PerHour < 0 || r.Tag.To < 0):
				t.Errorf("%q gives %+v %+v", r.Line(), r.Price, r.Tag)
			case err != nil && (!errors.As(err, &why) || why.Reason == "" || why.Detail == ""):
				t.Errorf("%q: %v has no reason or detail", r.Line(), err)
			}
		}
		if err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("more rows than lines in %q (%v)", text, err)
		}
	})
}
