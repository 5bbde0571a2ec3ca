"""Tests of suites that grow."""
