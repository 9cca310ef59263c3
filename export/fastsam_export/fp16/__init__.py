"""Half precision in the graph: conversion, the parts that stay fp32, and the comparison with fp32."""
