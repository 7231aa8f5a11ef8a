import pyarrow as pa, pyarrow.compute as pc
def read(f, columns, letters):  # one message: the columns that were reported, each with its units, letter and number
    used, out = [(n, u, l, (ord(l) - 65) % 32) for (n, u), l in zip(columns, letters) if l != "-"], {}
    schema = pa.schema([(n, pa.type_for_alias(f"uint{8 << k % 4}") if u else pa.utf8() if l == "t" else pa.binary(16)) for n, u, l, k in used])
    for (n, u, l, k), v in zip(used, pa.ipc.read_record_batch(pa.ipc.read_message(f), schema)):
        v = v.cast("int64") if u else v
        drawn = pc.divide(pc.multiply(out["power"], pc.fill_null(pc.pairwise_diff(out["ts"]), 0)), 10**6) if u and l < "a" else 0
        v = pc.cumulative_sum(pc.add(pc.bit_wise_xor(pc.shift_right(v, 1), pc.negate(pc.bit_wise_and(v, 1))), drawn), skip_nulls=True) if u and k & 4 else v
        out[n] = pc.multiply(v, u[k >> 3]) if u else v
    return pa.table(out)

f = pa.BufferReader(pa.input_stream(pa.py_buffer(value), compression="zstd").read())
series, samples = [read(f, c, l) for c, l in zip((SERIES, SAMPLES), headers["layout"].decode().split("|"))]
instants = pc.add(samples["ts"], int.from_bytes(headers["base"], "little"))  # Unix milliseconds
