package archive

import (
	"bytes"
	"slices"
)

// A Memory is an archive without a disk, for tests and for counting.
type Memory struct {
	entries []entry // by key
}

type entry struct{ key, value []byte }

func (m *Memory) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(m.entries, key, func(e entry, key []byte) int { return bytes.Compare(e.key, key) })
}

// Get returns nil where there is nothing.
func (m *Memory) Get(key []byte) ([]byte, error) {
	if i, ok := m.find(key); ok {
		return m.entries[i].value, nil
	}
	return nil, nil
}

// Put keeps copies.
func (m *Memory) Put(key, value []byte) error {
	i, ok := m.find(key)
	if !ok {
		m.entries = slices.Insert(m.entries, i, entry{})
	}
	m.entries[i] = entry{slices.Clone(key), append([]byte{}, value...)}
	return nil
}

// Delete removes the keys in [from, to).
func (m *Memory) Delete(from, to []byte) error {
	i, _ := m.find(from)
	j, _ := m.find(to)
	if i < j {
		m.entries = slices.Delete(m.entries, i, j)
	}
	return nil
}

// First is the least key in [from, to).
func (m *Memory) First(from, to []byte) (key, value []byte, err error) {
	i, _ := m.find(from)
	if i == len(m.entries) || bytes.Compare(m.entries[i].key, to) >= 0 {
		return nil, nil, nil
	}
	return m.entries[i].key, m.entries[i].value, nil
}

// Last is the greatest key in [from, to).
func (m *Memory) Last(from, to []byte) (key, value []byte, err error) {
	i, _ := m.find(to)
	if i == 0 || bytes.Compare(m.entries[i-1].key, from) < 0 {
		return nil, nil, nil
	}
	return m.entries[i-1].key, m.entries[i-1].value, nil
}

// Scan hands over what is in [from, to), in order.
func (m *Memory) Scan(from, to []byte, each func(key, value []byte) error) error {
	i, _ := m.find(from)
	for ; i < len(m.entries) && bytes.Compare(m.entries[i].key, to) < 0; i++ {
		if err := each(m.entries[i].key, m.entries[i].value); err != nil {
			return err
		}
	}
	return nil
}

// Clone is a copy.
func (m *Memory) Clone() *Memory { return &Memory{entries: slices.Clone(m.entries)} }

// Len is how many keys there are.
func (m *Memory) Len() int { return len(m.entries) }
